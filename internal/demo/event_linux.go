//go:build linux && (amd64 || arm64)

package demo

import (
	"encoding/json"
	"os"
)

// An event is one thing that happens in the story.
type event struct {
	PID int `json:",omitempty"` // the process that it is about; 0 is the demo

	Line   string `json:",omitempty"` // a line for the story
	Pass   *pass  `json:",omitempty"` // one pass of a transfer
	Booked uint64 `json:",omitempty"` // how many bookings the process has made: the last that it reports
	Tally  *tally `json:",omitempty"` // what a subscriber has received
	Failed string `json:",omitempty"` // why the role failed
	Taken  string `json:",omitempty"` // with Failed: the address that exists already

	Property  *property    `json:",omitempty"` // an object that the process is about to make, or has made
	Inherited *inheritance `json:",omitempty"` // the process holds the lock of one that has died

	Elapsed     bool   `json:",omitempty"` // a pause of the demo is over
	Exit        string `json:",omitempty"` // the process has ended: its last event, written by the demo
	Interrupted bool   `json:",omitempty"` // the user wants to stop
}

// maxText cuts texts, in bytes, so that an event stays below PIPE_BUF: JSON makes
// at most six bytes of one.
const maxText = 500

// cut returns at most maxText bytes of s.
func cut(s string) string { return s[:min(len(s), maxText)] }

// put writes a value into a pipe, as a line of JSON, in one write(2) of at most
// PIPE_BUF bytes (4096): lines of many processes do not tear each other (pipe(7)).
func put(pipe *os.File, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = pipe.Write(append(text, '\n'))
	return err
}
