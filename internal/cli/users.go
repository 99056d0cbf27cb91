package cli

import (
	"os/user"
	"strconv"
)

// userNames remembers the names of users by their number.
type userNames map[uint32]string

// name returns a user's name, or the number where the system knows none.
func (u userNames) name(uid uint32) string {
	if n, ok := u[uid]; ok {
		return n
	}
	n := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(n); err == nil && found.Username != "" {
		n = found.Username
	}
	u[uid] = n
	return n
}

// groupName returns a group's name, or its number.
func groupName(gid uint32) string {
	n := strconv.FormatUint(uint64(gid), 10)
	if found, err := user.LookupGroupId(n); err == nil && found.Name != "" {
		return found.Name
	}
	return n
}
