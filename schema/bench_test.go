package schema_test

import (
	"encoding/json"
	"testing"

	"github.com/seed-247006a4/shoal/schema"
)

// BenchmarkAppendJSON has encoding/json beside it, which is given the value and not its bytes.
func BenchmarkAppendJSON(b *testing.B) {
	tick := Tick{Time: 1722800000123456789, Venue: 7, Levels: [2]Level{{101.5, 100}, {101.75, 3000}}}
	copy(tick.Symbol[:], "SHOAL")
	s, err := schema.Of[Tick]()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("schema", func(b *testing.B) {
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			out, _ = s.AppendJSON(out[:0], memory(&tick))
		}
		b.SetBytes(int64(len(out)))
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			out, _ = json.Marshal(&tick)
		}
		b.SetBytes(int64(len(out)))
	})
}

// BenchmarkFromJSON has encoding/json beside it.
func BenchmarkFromJSON(b *testing.B) {
	s, err := schema.Of[Tick]()
	if err != nil {
		b.Fatal(err)
	}
	in := []byte(`{"Time":1722800000123456789,"Levels":[{"Price":101.5,"Size":100},{"Price":101.75,"Size":3000}]}`)
	b.Run("schema", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(in)))
		message := make([]byte, s.Size())
		for b.Loop() {
			if err := s.FromJSON(message, in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(in)))
		var tick Tick
		for b.Loop() {
			if err := json.Unmarshal(in, &tick); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOf is what opening an object costs when its type has been seen before.
func BenchmarkOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := schema.Of[Tick](); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParse is what a tool pays for each object.
func BenchmarkParse(b *testing.B) {
	s, err := schema.Of[Everything]()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(s.String())))
	for b.Loop() {
		if _, err := schema.Parse(s.String()); err != nil {
			b.Fatal(err)
		}
	}
}
