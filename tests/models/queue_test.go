package models

import "testing"

// TestQueue checks the slots of a queue: whoever dies or stops where, every message that
// was sent is received, but those that a stopped consumer keeps.
func TestQueue(t *testing.T) {
	for name, macros := range map[string][]string{
		"two producers": {"-DPRODUCERS=2", "-DCONSUMERS=1"},
		"two consumers": {"-DPRODUCERS=1", "-DCONSUMERS=2"},
	} {
		t.Run(name, func(t *testing.T) {
			errors, report := check(t, "queue.pml", macros...)
			if errors != "0" {
				t.Errorf("%s", report)
			}
			t.Log(states.FindString(report))
		})
	}
}

// The model can fail: each of the defects that it can be given is found.
func TestQueueFaults(t *testing.T) {
	for _, fault := range []struct {
		what   string
		macros []string
	}{
		{"a consumer does not flag the claims that it passes", []string{"-DFAULT=1"}},
		{"a producer does not look whether the head has gone past", []string{"-DFAULT=2", "-DPRODUCERS=3", "-DMORTAL=2", "-DRETURNS=0"}},
		{"a message is made ready before it is marked", []string{"-DFAULT=3", "-DPRODUCERS=1", "-DCONSUMERS=2"}},
		{"the flag of the marks is cleared whatever has been marked since", []string{"-DFAULT=4"}},
		{"the head goes past without being counted", []string{"-DFAULT=5", "-DPRODUCERS=3", "-DMORTAL=2", "-DRETURNS=0"}},
		{"what the dead had is not taken back", []string{"-DFAULT=6", "-DPRODUCERS=1", "-DCONSUMERS=2"}},
	} {
		t.Run(fault.what, func(t *testing.T) {
			if errors, report := check(t, "queue.pml", fault.macros...); errors != "1" {
				t.Errorf("the defect was not found:\n%s", report)
			}
		})
	}
}
