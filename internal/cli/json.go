package cli

import "encoding/json"

// printJSON prints v on a line of its own on standard output.
func (c *command) printJSON(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
