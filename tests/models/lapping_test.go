package models

import "testing"

// TestLapping checks that nobody takes for a record what is being overwritten, and that
// what has been missed is counted exactly.
func TestLapping(t *testing.T) {
	for _, follower := range []string{"LOSSY", "JOINER"} {
		t.Run(follower, func(t *testing.T) {
			errors, report := check(t, "lapping.pml", "-D"+follower)
			if errors != "0" {
				t.Errorf("%s", report)
			}
			t.Log(states.FindString(report))
		})
	}
}

// The model can fail: each of the defects that it can be given is found.
func TestLappingFaults(t *testing.T) {
	for _, defect := range []struct{ macro, follower, what string }{
		{"NOLOOK", "JOINER", "the publisher does not look again who has joined"},
		{"EARLY", "JOINER", "the joiner looks at the claim before it can be seen"},
		{"TRUST", "LOSSY", "the lossy reader does not look at the claim"},
		{"LATE", "LOSSY", "the publisher claims behind the overwriting"},
		{"LATE", "JOINER", "the publisher claims behind the overwriting, and somebody joins"},
	} {
		t.Run(defect.what, func(t *testing.T) {
			errors, report := check(t, "lapping.pml", "-D"+defect.follower, "-D"+defect.macro)
			if errors != "1" { // a mixture, or somebody who waits for what has been overwritten
				t.Errorf("the defect was not found:\n%s", report)
			}
		})
	}
}
