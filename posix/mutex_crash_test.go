//go:build shoalcrash

package posix_test

import (
	"bufio"
	"fmt"
	"os"
	"strconv"

	"github.com/seed-247006a4/shoal/internal/crash"
)

// The victim of TestMutexKilledAtEveryStore: it performs the operation
// SHOAL_POSIX_OPERATION and dies at its store SHOAL_POSIX_STORE.
func init() {
	roles["mutex crash"] = func() string {
		m := roleMutex()
		operation := os.Getenv("SHOAL_POSIX_OPERATION")
		store, err := strconv.Atoi(os.Getenv("SHOAL_POSIX_STORE"))
		if err != nil {
			panic(err)
		}
		act := m.Lock
		switch operation {
		case "lock", "lock dead", "wait":
		case "unlock":
			m.Lock()
			act = m.Unlock
		case "unlock inconsistent":
			m.Lock()
			act = m.Unlock
		case "consistent":
			m.Lock()
			act = m.MarkConsistent
		default:
			panic(operation)
		}
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadString('\n')
		crash.Arm(store)
		act()
		return fmt.Sprintln("stores", crash.Passed())
	}
}
