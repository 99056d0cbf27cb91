package bench

// ringScenarios are what is measured of package ring.
var ringScenarios = []Scenario{
	{Name: "ring/latency/64B", About: "one way; each side waits in Peek, and spins",
		structure: "ring", measure: latency, size: 64, limit: "limit/line", bar: bar{atMost: 1.5}},
	{Name: "ring/latency/64B/polled", About: "one way; each side calls TryPeek without a pause",
		structure: "ring", measure: latency, size: 64, polled: true, limit: "limit/line"},
	{Name: "ring/latency/1KiB", About: "one way", structure: "ring", measure: latency, size: 1 << 10,
		limit: "limit/line/1KiB"},
	{Name: "ring/latency/64KiB", About: "one way", structure: "ring", measure: latency, size: 64 << 10,
		limit: "limit/line/64KiB"},
	{Name: "ring/latency/1MiB", About: "one way", structure: "ring", measure: latency, size: 1 << 20,
		area: 8 << 20, limit: "limit/line/1MiB"},
	{Name: "ring/parked/64B", About: "a round trip; each side sleeps",
		structure: "ring", measure: parked, size: 64, limit: "limit/futex", bar: bar{atMost: 1.3}},
	{Name: "ring/stream/64B/single", About: "each with a Send of its own, read by All",
		structure: "ring", measure: stream, size: 64, batch: 1, bar: bar{rate: 25e6}},
	{Name: "ring/stream/64B/batch", About: "64 with each SendBatch and ReceiveBatch",
		structure: "ring", measure: stream, size: 64, batch: 64, bar: bar{rate: 60e6}},
	{Name: "ring/stream/1KiB", About: "each with a Send of its own, read by All",
		structure: "ring", measure: stream, size: 1 << 10, batch: 1, limit: "limit/memcpy/1KiB"},
	{Name: "ring/stream/64KiB", About: "each with a Send of its own, read by All",
		structure: "ring", measure: stream, size: 64 << 10, batch: 1, limit: "limit/memcpy/64KiB"},
	{Name: "ring/copy/1MiB", About: "copied in, and copied out, at the same time",
		structure: "ring", measure: copied, size: 1 << 20, batch: 1, area: 8 << 20, limit: "limit/memcpy/1MiB",
		bar: bar{atLeast: 0.8}},
}
