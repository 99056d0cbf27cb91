package models

import "testing"

// TestMutex checks the lock word: mutual exclusion, and that every survivor gets the
// lock, whoever dies where.
func TestMutex(t *testing.T) {
	errors, report := check(t, "mutex.pml", "-DBUG=0")
	if errors != "0" {
		t.Errorf("%s", report)
	}
	t.Log(states.FindString(report))
}

// The model can fail: each of the defects that it can be given is found.
func TestMutexFaults(t *testing.T) {
	for bug, what := range map[string]string{
		"1": "who has slept takes the lock without the flag",
		"2": "a burial does not wake everybody",
		"3": "unlock looks at the flag before it stores",
		"4": "who gives up does not pass a wake-up on",
	} {
		t.Run(what, func(t *testing.T) {
			if errors, report := check(t, "mutex.pml", "-DBUG="+bug); errors != "1" {
				t.Errorf("the defect was not found:\n%s", report)
			}
		})
	}
}
