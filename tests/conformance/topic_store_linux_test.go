//go:build linux && (amd64 || arm64)

package conformance

// topicFatals are the operations of topics at each of whose stores a C program is killed.
var topicFatals = []fatal{
	{
		name: "make a topic", op: "topic open object",
		after: []string{"topic open object", "topic publisher", "topic subscribe now", "topic send 1 8", "topic count",
			"topic check"},
		outcome: []string{"ok", "ok", "ok", "ok", "1", "ok"},
	}, {
		name: "take a lane", op: "topic publisher",
		peer: []string{"topic open object", "topic publisher", "topic send 1 8", "topic unpublisher",
			"topic subscribe oldest"},
		victim:  []string{"topic open object"},
		after:   []string{"topic publisher", "topic send 2 8", "topic count", "topic check"},
		outcome: []string{"ok", "ok", "2", "ok"},
	}, {
		name: "give a lane back", op: "topic unpublisher",
		peer:    []string{"topic open object", "topic subscribe now"},
		victim:  []string{"topic open object", "topic publisher", "topic send 1 8"},
		after:   []string{"topic publisher", "topic send 2 8", "topic count", "topic check"},
		outcome: []string{"ok", "ok", "2", "ok"},
	}, {
		name: "publish a record", op: "topic send 1 1000",
		peer:    []string{"topic open object", "topic subscribe now"},
		victim:  []string{"topic open object", "topic publisher"},
		after:   []string{"topic publisher", "topic send 2 8", "topic count", "topic check"},
		outcome: []string{"ok", "ok", "1|2", "ok"}, // the record is not there, or is
		turns:   []int{5},                          // claim, payload, stamp, end; header
	}, {
		name: "publish a record in place", op: "topic place 1 1000",
		peer:    []string{"topic open object", "topic subscribe lossy"},
		victim:  []string{"topic open object", "topic publisher"},
		after:   []string{"topic publisher", "topic send 2 8", "topic count", "topic check"},
		outcome: []string{"ok", "ok", "1|2", "ok"},
		turns:   []int{5},
	}, {
		name: "publish a batch", op: "topic batch 1 30",
		peer:    []string{"topic open object", "topic subscribe now"},
		victim:  []string{"topic open object", "topic publisher"},
		after:   []string{"topic publisher", "topic send 2 8", "topic count", "topic check"},
		outcome: []string{"ok", "ok", "1|21|31", "ok"}, // runs of an eighth are not there, or are
		turns:   []int{43, 67},
	}, {
		name: "publish a record, another sleeps", op: "topic send 1 8",
		peer:   []string{"topic open object", "topic subscribe now"},
		victim: []string{"topic open object", "topic publisher"},
		waits:  "topic drain 1 1", sleeps: 128, wakes: "ok",
		rescue:  []string{"topic open object", "topic publisher", "topic send 1 8"},
		after:   []string{"topic count", "topic check"},
		outcome: []string{"0|1", "ok"}, // beside the rescuer's
		turns:   []int{5},
	}, {
		name: "drop a subscriber", op: "topic send 3 1500",
		peer:    []string{"topic open object drop", "topic subscribe now"},
		victim:  []string{"topic open object", "topic publisher", "topic send 1 1500", "topic send 2 1500"},
		after:   []string{"topic reliable", "topic publisher", "topic send 4 8", "topic check"},
		outcome: []string{"0|1", "ok", "ok", "ok"},
	}, {
		name: "subscribe", op: "topic subscribe now",
		peer:    []string{"topic open object", "topic publisher", "topic send 1 8"},
		victim:  []string{"topic open object"},
		after:   []string{"topic stream 0 1000", "topic subscribe oldest", "topic send 1 8", "topic repair", "topic check"},
		outcome: []string{"ok", "ok", "ok", "0|1", "ok"},
	}, {
		name: "subscribe lossy", op: "topic subscribe lossy 1",
		peer:    []string{"topic open object", "topic publisher", "topic send 1 8"},
		victim:  []string{"topic open object"},
		after:   []string{"topic stream 0 1000", "topic subscribe oldest", "topic send 1 8", "topic repair", "topic check"},
		outcome: []string{"ok", "ok", "ok", "0|1", "ok"},
	}, {
		name: "subscribe where another was", op: "topic subscribe oldest",
		peer: []string{"topic open object", "topic publisher", "topic subscribe now", "topic send 1 8", "topic drain 1 1",
			"topic unsubscribe"},
		victim:  []string{"topic open object"},
		after:   []string{"topic subscribe oldest", "topic count", "topic check"},
		outcome: []string{"ok", "1", "ok"},
	}, {
		name: "subscribe by a new name", op: "topic subscribe named reader",
		peer:   []string{"topic open object", "topic publisher"},
		victim: []string{"topic open object"},
		after: []string{"topic repair", "topic subscriber 0", "topic subscribe named reader", "topic send 5 8", "topic count",
			"topic check"},
		outcome: []string{"0|1", "free|reader reliable received 0 missed 0 lag 0 nobody", "ok", "ok", "1", "ok"},
	}, {
		name: "subscribe by a name that is there", op: "topic subscribe named reader",
		peer: []string{"topic open object", "topic publisher", "topic subscribe named reader", "topic send 1 8",
			"topic unsubscribe", "topic send 2 8"},
		victim:  []string{"topic open object"},
		after:   []string{"topic subscribe named reader", "topic count", "topic check"},
		outcome: []string{"ok", "2", "ok"},
	}, {
		name: "subscribe by the name of one that was dropped", op: "topic subscribe named reader",
		peer: []string{"topic open object drop", "topic publisher", "topic subscribe named reader", "topic unsubscribe",
			"topic stream 0 200"},
		victim:  []string{"topic open object"},
		after:   []string{"topic subscribe named reader", "topic reliable", "topic check"},
		outcome: []string{"ok", "1", "ok"},
	}, {
		name: "receive from a topic", op: "topic drain 1 1",
		peer:    []string{"topic open object", "topic publisher", "topic send 1 1000", "topic send 2 8"},
		victim:  []string{"topic open object", "topic subscribe namedoldest reader"},
		after:   []string{"topic subscribe named reader", "topic count", "topic check"},
		outcome: []string{"ok", "2|1", "ok"}, // it is the next process's first, or released
		turns:   []int{2},
	}, {
		name: "receive, the publisher sleeps", op: "topic drain 0 40",
		peer:   []string{"topic open object", "topic publisher"},
		victim: []string{"topic open object", "topic subscribe now"},
		waits:  "topic stream 0 200", sleeps: 896,
		after: []string{"topic check"}, outcome: []string{"ok"},
	}, {
		name: "unsubscribe, the publisher sleeps", op: "topic unsubscribe",
		peer:   []string{"topic open object", "topic publisher"},
		victim: []string{"topic open object", "topic subscribe now"},
		waits:  "topic stream 0 200", sleeps: 896,
		after: []string{"topic check"}, outcome: []string{"ok"},
	}, {
		name: "forget a name", op: "topic forget reader",
		peer:    []string{"topic open object", "topic publisher", "topic subscribe named reader", "topic unsubscribe"},
		victim:  []string{"topic open object"},
		after:   []string{"topic forget reader", "topic stream 0 1000", "topic check"},
		outcome: []string{"ok|missing", "ok", "ok"},
	}, {
		name: "bury the dead", op: "topic repair",
		dead:    []string{"topic open object", "topic publisher", "topic subscribe now"},
		peer:    []string{"topic open object"},
		victim:  []string{"topic open object"},
		after:   []string{"topic publisher", "topic stream 0 1000", "topic repair", "topic check"},
		outcome: []string{"ok", "ok", "0|1", "ok"},
	}, {
		name: "close a topic", op: "topic close",
		peer:    []string{"topic open object"},
		victim:  []string{"topic open object", "topic publisher", "topic subscribe now"},
		after:   []string{"topic publisher", "topic stream 0 1000", "topic subscribe now", "topic check"},
		outcome: []string{"ok", "ok", "ok", "ok"},
	},
}
