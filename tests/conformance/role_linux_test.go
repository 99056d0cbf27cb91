//go:build linux && (amd64 || arm64)

package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

func init() {
	roles["conform"] = func([]string) {
		var r role
		for {
			rerun.Say(r.perform(strings.Fields(rerun.Hear())))
		}
	}
}

// role is what a process of a case has open.
type role struct {
	mutex     *pshared.Mutex
	event     *pshared.Event
	semaphore *pshared.Semaphore
	ring      *ring.Ring[[]byte]
	why       error // of the last ring that was not opened
	writer    *ring.Writer[[]byte]
	reader    *ring.Reader[[]byte]
	queue     *queue.Queue[[]byte]
	held      []queue.Message[[]byte]
	last      queue.Message[[]byte] // that was held
	lent      []queue.Loan[[]byte]
	loan      queue.Loan[[]byte] // that was open
	topics
	segment *shm.Segment
	members *pshared.Members
	object  *object.Object
	data    []byte // of the mutex's object: behind its word
}

// wordFor is the word for an error, the same in every language.
func wordFor(err error) string {
	for _, w := range []struct {
		err  error
		word string
	}{
		{nil, "ok"},
		{pshared.ErrOwnerDied, "ownerdied"},
		{pshared.ErrNotRecoverable, "notrecoverable"},
		{pshared.ErrNotOwner, "notowner"},
		{context.DeadlineExceeded, "timedout"},
		{shm.ErrVersion, "version"},
		{shm.ErrKind, "kind"},
		{shm.ErrTypeMismatch, "type"},
		{shm.ErrCorrupt, "corrupt"},
		{pshared.ErrNoSlot, "noslot"},
		{shm.ErrClosed, "closed"},
		{fs.ErrNotExist, "missing"},
		{fs.ErrExist, "exists"},
		{fs.ErrPermission, "permission"},
		{syscall.EINVAL, "invalid"},
		{fs.ErrInvalid, "invalid"},
		{syscall.EOVERFLOW, "overflow"},
		{ring.ErrBusy, "busy"},
		{ring.ErrTooLarge, "toolarge"},
		{queue.ErrNotHeld, "notowner"},
		{topic.ErrFull, "busy"},
		{topic.ErrMissed, "missed"},
		{topic.ErrDropped, "dropped"},
	} {
		if errors.Is(err, w.err) {
			return w.word
		}
	}
	return "error: " + err.Error()
}

// tried is the word for what a Try has done.
func tried(ok bool, err error) string {
	if !ok && err == nil {
		return "busy"
	}
	return wordFor(err)
}

func statsOf(s pshared.Stats) string {
	return fmt.Sprintf("members %d deaths %d repairs %d lost %d", s.Members, s.Deaths, s.Repairs, s.LostWakes)
}

// within calls f with the time that args give it, in nanoseconds.
func within(args []string, f func(context.Context) error) string {
	ctx := context.Background()
	if args[2] != "" {
		ns, err := strconv.ParseInt(args[2], 0, 64)
		rerun.Check(err)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(ns))
		defer cancel()
	}
	return wordFor(f(ctx))
}

// options are those that every language makes objects with.
var options = pshared.Options{Members: 8}

// offset is a number in a command.
func offset(s string) int {
	n, err := strconv.ParseInt(s, 0, 64)
	rerun.Check(err)
	return int(n)
}

func (r *role) perform(args []string) string {
	args = append(args, make([]string, 5)...)
	switch args[0] {
	case "mutex":
		return r.doMutex(args)
	case "event":
		return r.doEvent(args)
	case "semaphore":
		return r.doSemaphore(args)
	case "ring":
		return r.doRing(args)
	case "queue":
		return r.doQueue(args)
	case "topic":
		return r.doTopic(args)
	}
	var err error
	switch args[0] + " " + args[1] {
	case "segment open":
		r.segment, err = shm.Open(args[2], nil)
	case "segment close":
		err = r.segment.Close()
	case "members join":
		r.members, err = pshared.Join(r.segment, 0, offset(args[2]))
	case "members leave":
		r.members.Leave()
	case "object open":
		r.object, err = object.Open(args[2], object.Spec{})
	case "object close":
		err = r.object.Segment.Close()
	default:
		if args[0] != "remove" {
			return "no words " + args[0] + " " + args[1]
		}
		err = object.Remove(args[1], func(layout.Kind) bool { return true })
	}
	return wordFor(err)
}

func (r *role) doMutex(args []string) string {
	var err error
	switch args[1] {
	case "open":
		if r.mutex, err = options.OpenMutex(args[2]); err == nil {
			r.data, err = dataOf(args[2])
		}
	case "init":
		r.mutex, err = pshared.InitMutex(r.members, offset(args[2]))
	case "join":
		r.mutex, err = pshared.JoinMutex(r.members, offset(args[2]))
	case "lock":
		return within(args, r.mutex.LockContext)
	case "try":
		return tried(r.mutex.TryLock())
	case "unlock":
		err = r.mutex.Unlock()
	case "mark":
		err = r.mutex.MarkConsistent()
	case "check":
		err = r.mutex.Check()
	case "stats":
		return statsOf(r.mutex.Stats())
	case "count":
		count := word(r.data, 0)
		for range offset(args[2]) {
			if err = r.mutex.Lock(); err != nil {
				break
			}
			count.Store(count.Load() + 1)
			if err = r.mutex.Unlock(); err != nil {
				break
			}
		}
	case "work":
		err = r.work(word(r.segment.Bytes(), 8*offset(args[2])))
	case "close":
		err = r.mutex.Close()
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

// errTorn says that what a mutex guards has been seen by two at once.
var errTorn = errors.New("torn")

// work counts as its namesake in role.c does.
func (r *role) work(ledger *mem.Uint64) error {
	a, b := word(r.data, 0), word(r.data, 8)
	for {
		err := r.mutex.Lock()
		if errors.Is(err, pshared.ErrOwnerDied) {
			b.Store(a.Load())
			err = r.mutex.MarkConsistent()
		}
		if err != nil {
			return err
		}
		if a.Load() != b.Load() {
			return errTorn
		}
		a.Add(1)
		b.Add(1)
		if err := r.mutex.Unlock(); err != nil {
			return err
		}
		ledger.Add(1)
	}
}

func (r *role) doEvent(args []string) string {
	reset := pshared.ManualReset
	if args[3] == "auto" {
		reset = pshared.AutoReset
	}
	var err error
	switch args[1] {
	case "open":
		r.event, err = options.OpenEvent(args[2], reset)
	case "init":
		r.event, err = pshared.InitEvent(r.members, offset(args[2]), reset)
	case "join":
		r.event, err = pshared.JoinEvent(r.members, offset(args[2]))
	case "wait":
		return within(args, r.event.WaitContext)
	case "try":
		return tried(r.event.TryWait(), nil)
	case "set":
		r.event.Set()
	case "reset":
		r.event.Reset()
	case "isset":
		if r.event.IsSet() {
			return "1"
		}
		return "0"
	case "stats":
		return statsOf(r.event.Stats())
	case "close":
		err = r.event.Close()
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

func (r *role) doSemaphore(args []string) string {
	config := pshared.SemaphoreConfig{Undo: args[3] == "undo"}
	if args[4] != "" {
		config.Value = offset(args[4])
	}
	var err error
	switch args[1] {
	case "open":
		r.semaphore, err = options.OpenSemaphore(args[2], config)
	case "init":
		r.semaphore, err = pshared.InitSemaphore(r.members, offset(args[2]), config)
	case "join":
		r.semaphore, err = pshared.JoinSemaphore(r.members, offset(args[2]))
	case "acquire":
		return within(args, r.semaphore.AcquireContext)
	case "try":
		return tried(r.semaphore.TryAcquire())
	case "release":
		err = r.semaphore.Release()
	case "value":
		return strconv.Itoa(r.semaphore.Value())
	case "check":
		err = r.semaphore.Check()
	case "stats":
		return statsOf(r.semaphore.Stats())
	case "work":
		ledger := word(r.segment.Bytes(), 8*offset(args[2]))
		for err == nil {
			if err = r.semaphore.Acquire(); err == nil {
				err = r.semaphore.Release()
				ledger.Add(1)
			}
		}
	case "close":
		err = r.semaphore.Close()
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

// fill is a record of a ring: n bytes, all of the lowest one of its number, which the first 8 hold.
func fill(p []byte, number uint64) {
	for i := range p {
		p[i] = byte(number)
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], number)
	copy(p, b[:])
}

func filled(number uint64, n int) []byte {
	p := make([]byte, n)
	fill(p, number)
	return p
}

// recordOf says what a record is.
func recordOf(p []byte, ok bool, err error) string {
	if err != nil || !ok {
		return tried(ok, err)
	}
	var b [8]byte
	copy(b[:], p)
	number := binary.LittleEndian.Uint64(b[:])
	if len(p) > 8 && !bytes.Equal(p, filled(number, len(p))) {
		return "torn"
	}
	return fmt.Sprint(number, " ", len(p))
}

// flow and follow are those of role.c.
func (r *role) flow() error {
	for n := r.ring.Stats().Sent; ; n++ {
		if err := r.writer.Send(context.Background(), filled(n, 8+int(n%100))); err != nil {
			return err
		}
	}
}

func (r *role) follow(ledger *mem.Uint64) error {
	next := ledger.Load()
	for first := true; ; first = false {
		p, err := r.reader.Peek(context.Background())
		if err != nil {
			return err
		}
		number := binary.LittleEndian.Uint64(*p)
		if first && number < next && next-number <= 2 {
			next = number
		}
		if number != next || !bytes.Equal(*p, filled(number, 8+int(number%100))) {
			return fmt.Errorf("torn: %d of %d bytes, want %d", number, len(*p), next)
		}
		next++
		ledger.Store(next)
		if err := r.reader.Release(); err != nil {
			return err
		}
	}
}

// typeFor has the texts of types that role.c has.
func typeFor(name string) *schema.Schema {
	kind, ok := map[string]string{"tick": "float64", "tock": "int64"}[name]
	if !ok {
		return nil
	}
	s, err := schema.Parse("shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price " + kind + "\n}\n")
	rerun.Check(err)
	return s
}

func (r *role) doRing(args []string) string {
	var err error
	switch args[1] {
	case "open":
		o := ring.Options{}
		if args[3] != "" {
			o.Size = offset(args[3])
		}
		o.Type = typeFor(args[4])
		r.ring, err = ring.OpenOrCreate[[]byte](args[2], &o)
		r.why = err
	case "writer":
		var w *ring.Writer[[]byte]
		if w, err = r.ring.Writer(); err == nil {
			r.writer = w
		}
	case "reader":
		var d *ring.Reader[[]byte]
		if d, err = r.ring.Reader(); err == nil {
			r.reader = d
		}
	case "unwriter":
		err = r.writer.Close()
	case "unreader":
		err = r.reader.Close()
	case "send":
		return within([]string{"", "", args[4]}, func(ctx context.Context) error {
			return r.writer.Send(ctx, filled(uint64(offset(args[2])), offset(args[3])))
		})
	case "try":
		return tried(r.writer.TrySend(filled(uint64(offset(args[2])), offset(args[3]))))
	case "batch":
		var records [][]byte
		for i := range offset(args[3]) {
			records = append(records, filled(uint64(offset(args[2])+i), 16))
		}
		_, err = r.writer.SendBatch(context.Background(), records)
	case "place", "cancel":
		var l ring.Loan[[]byte]
		if l, err = r.writer.LoanBytes(context.Background(), offset(args[3])); err == nil {
			fill(*l.Value, uint64(offset(args[2])))
			if args[1] == "place" {
				err = l.Commit()
			} else {
				err = l.Cancel()
			}
		}
	case "receive":
		var p []byte
		word := within(args, func(ctx context.Context) (err error) {
			p, err = r.reader.Receive(ctx)
			return err
		})
		if word != "ok" {
			return word
		}
		return recordOf(p, true, nil)
	case "tryreceive":
		return recordOf(r.reader.TryReceive())
	case "peek":
		p, err := r.reader.TryPeek()
		if p == nil || err != nil {
			return tried(false, err)
		}
		return recordOf(*p, true, nil)
	case "count":
		n := 0
		for {
			_, ok, err := r.reader.TryReceive()
			if !ok || err != nil {
				return fmt.Sprint(n)
			}
			n++
		}
	case "drain":
		for i := range offset(args[3]) {
			p, err := r.reader.Receive(context.Background())
			if err != nil {
				return wordFor(err)
			}
			if got := binary.LittleEndian.Uint64(p); got != uint64(offset(args[2])+i) {
				return "corrupt"
			}
		}
	case "skip":
		n := 0
		for range r.reader.Runs(context.Background()) {
			if n++; n == 1 {
				break
			}
		}
	case "skim":
		i := 0
		for p, err := range r.reader.Runs(context.Background()) {
			if err != nil {
				return wordFor(err)
			}
			if got := binary.LittleEndian.Uint64(*p); got != uint64(offset(args[2])+i) {
				return "corrupt"
			}
			if i++; i == offset(args[3]) {
				break
			}
		}
	case "flow":
		err = r.flow()
	case "follow":
		err = r.follow(word(r.segment.Bytes(), 0))
	case "why":
		return strings.ReplaceAll(fmt.Sprint(r.why), "\n", " ")
	case "repair":
		n, err := r.ring.Repair()
		if err != nil {
			return wordFor(err)
		}
		return fmt.Sprint(n)
	case "stream":
		for i := range offset(args[3]) {
			if err = r.writer.Send(context.Background(), filled(uint64(offset(args[2])+i), 8+i%100)); err != nil {
				break
			}
		}
	case "check":
		err = r.ring.Check()
	case "stats":
		s := r.ring.Stats()
		return fmt.Sprintf("sent %d received %d repairs %d %d", s.Sent, s.Received, s.WriterRepairs, s.ReaderRepairs)
	case "close":
		err = r.ring.Close()
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

func (r *role) doQueue(args []string) string {
	number := func(i int) uint64 {
		if args[i] == "" {
			return 0
		}
		return uint64(offset(args[i]))
	}
	var err error
	switch args[1] {
	case "open":
		r.queue, err = queue.OpenOrCreate[[]byte](args[2], &queue.Options{Slots: int(number(3)), MaxMessage: int(number(4))})
	case "type":
		typ, err := schema.Parse(fmt.Sprintf("shoal schema 1\n[%s]uint8\n", args[3]))
		rerun.Check(err)
		r.queue, err = queue.OpenOrCreate[[]byte](args[2], &queue.Options{Slots: 4, Type: typ})
		return wordFor(err)
	case "send":
		return within([]string{"", "", args[4]}, func(ctx context.Context) error {
			return r.queue.Send(ctx, filled(number(2), int(number(3))))
		})
	case "try":
		return tried(r.queue.TrySend(filled(number(2), int(number(3)))))
	case "batch":
		var messages [][]byte
		for i := range number(3) {
			messages = append(messages, filled(number(2)+i, 16))
		}
		_, err = r.queue.SendBatch(context.Background(), messages)
	case "lend":
		var l queue.Loan[[]byte]
		if l, err = r.queue.LoanBytes(context.Background(), int(number(3))); err == nil {
			fill(*l.Value, number(2))
			r.lent = append(r.lent, l)
		}
	case "commit", "cancel":
		if len(r.lent) > 0 {
			r.loan = r.lent[0]
		}
		l := r.loan
		switch {
		case args[1] == "cancel":
			err = l.Cancel()
		case args[2] != "":
			*l.Value = (*l.Value)[:number(2)]
			fallthrough
		default:
			err = l.Commit()
		}
		if err == nil && len(r.lent) > 0 {
			r.lent = r.lent[1:]
		}
	case "receive":
		var m queue.Message[[]byte]
		word := within(args, func(ctx context.Context) (err error) {
			m, err = r.queue.Receive(ctx)
			return err
		})
		if word != "ok" {
			return word
		}
		return r.hold(m)
	case "tryreceive":
		m, ok, err := r.queue.TryReceive()
		if !ok || err != nil {
			return tried(ok, err)
		}
		return r.hold(m)
	case "some":
		ms := make([]queue.Message[[]byte], number(2))
		n, err := r.queue.ReceiveBatch(context.Background(), ms)
		if err != nil {
			return wordFor(err)
		}
		r.held = append(r.held, ms[:n]...)
		return fmt.Sprint(n)
	case "ack":
		err = r.letGo(args[2]).Ack()
	case "nack":
		err = r.letGo(args[2]).Nack()
	case "ackall":
		_, err = r.queue.AckBatch(r.held)
		r.held = nil
	case "use", "back", "hold":
		m, err := r.queue.Receive(context.Background())
		switch {
		case err != nil:
		case args[1] == "use":
			err = m.Ack()
		case args[1] == "back":
			err = m.Nack()
		default:
			r.held = append(r.held, m)
		}
		return wordFor(err)
	case "count":
		for n := 0; ; n++ {
			m, ok, err := r.queue.TryReceive()
			if ok && err == nil {
				err = m.Ack()
			}
			if err != nil {
				return wordFor(err)
			}
			if !ok {
				return fmt.Sprint(n)
			}
		}
	case "drain":
		for i := range number(3) {
			m, err := r.queue.Receive(context.Background())
			if err != nil {
				return wordFor(err)
			}
			if got := binary.LittleEndian.Uint64(*m.Value); got != number(2)+i {
				return "corrupt"
			}
			if err := m.Ack(); err != nil {
				return wordFor(err)
			}
		}
	case "stream":
		for i := range int(number(3)) {
			if err = r.queue.Send(context.Background(), filled(number(2)+uint64(i), 8+i%100)); err != nil {
				break
			}
		}
	case "work":
		err = r.labour(newBook(r.segment.Bytes()), int(number(2)))
	case "check":
		err = r.queue.Check()
	case "repair":
		err = r.queue.Repair()
	case "stats":
		s := r.queue.Stats()
		return fmt.Sprintf("sent %d received %d acked %d nacked %d redelivered %d returned %d freed %d",
			s.Sent, s.Received, s.Acked, s.Nacked, s.Redelivered, s.Returned, s.Freed)
	case "slots":
		s := r.queue.Stats()
		return fmt.Sprintf("free %d claimed %d ready %d taken %d", s.Free, s.Claimed, s.Ready, s.Taken)
	case "free":
		return fmt.Sprint(r.queue.Stats().Free)
	case "holdings":
		alive, dead := 0, 0
		for _, h := range r.queue.Stats().Holdings {
			if h.Alive {
				alive++
			} else {
				dead++
			}
		}
		return fmt.Sprint(alive, " ", dead)
	case "close":
		err = r.queue.Close()
		r.held, r.lent = nil, nil
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

// hold keeps a message that has been received, and says what it is.
func (r *role) hold(m queue.Message[[]byte]) string {
	r.held = append(r.held, m)
	return fmt.Sprint(recordOf(*m.Value, true, nil), " ", m.Deliveries)
}

// letGo returns the first message that is held, or that of a number. It is not held any more then, but may be tried again.
func (r *role) letGo(number string) queue.Message[[]byte] {
	for i, m := range r.held {
		var b [8]byte
		copy(b[:], *m.Value)
		if number == "" || binary.LittleEndian.Uint64(b[:]) == uint64(offset(number)) {
			r.last = m
			r.held = slices.Delete(r.held, i, i+1)
			break
		}
	}
	return r.last
}

// book is the ledger of a kill test: a word for each worker, and behind 4096 bytes which messages of each have been
// consumed.
type book struct {
	words []mem.Uint64
	seen  []mem.Uint64
}

// numbers is how many each of the first four workers has.
const numbers = 1 << 23

func newBook(ledger []byte) (b book) {
	var err error
	b.words, err = mem.Array[mem.Uint64](ledger, 0, 512)
	rerun.Check(err)
	b.seen, err = mem.Array[mem.Uint64](ledger, 4096, 4*numbers/64)
	rerun.Check(err)
	return b
}

func (b book) place(worker int, number uint64) (w *mem.Uint64, bit uint64) {
	return &b.seen[(uint64(worker)*numbers+number)/64], 1 << (number % 64)
}

func (b book) enter(worker int, number uint64) {
	w, bit := b.place(worker, number)
	for v := w.Load(); v&bit == 0 && !w.CompareAndSwap(v, v|bit); v = w.Load() {
	}
}

// labour works as its namesake in role.c does.
func (r *role) labour(b book, worker int) error {
	ctx := context.Background()
	number := b.words[worker].Load() + 1
	message := func(number uint64, n int) []byte {
		p := filled(number, n)
		p[8] = byte(worker)
		return p
	}
	for worker < 4 && number+4 < numbers {
		n, err := 1, error(nil)
		switch number % 3 {
		case 0:
			n, err = r.queue.SendBatch(ctx, [][]byte{message(number, 64), message(number+1, 64), message(number+2, 64), message(number+3, 64)})
		case 1:
			err = r.queue.Send(ctx, message(number, 64))
		case 2:
			var l queue.Loan[[]byte]
			n := 16 + int(number%200)
			if l, err = r.queue.LoanBytes(ctx, n); err == nil {
				copy(*l.Value, message(number, n))
				err = l.Commit()
			}
		}
		if err != nil {
			return err
		}
		if number/256 != (number+uint64(n))/256 {
			time.Sleep(time.Millisecond) // so that the numbers last, and the queue is empty now and then
		}
		number += uint64(n)
		b.words[worker].Store(number - 1)
	}
	ms := make([]queue.Message[[]byte], 4)
	for worker >= 4 {
		n, err := r.queue.ReceiveBatch(ctx, ms[:1+number%4])
		if err != nil {
			return err
		}
		for _, m := range ms[:n] {
			p := *m.Value
			of := binary.LittleEndian.Uint64(p)
			for _, c := range p[9:] {
				if c != byte(of) {
					return errTorn
				}
			}
			if number%64 == 0 {
				err = m.Nack()
			} else {
				b.enter(int(p[8]), of)
				b.words[worker].Add(1)
				err = m.Ack()
			}
			if err != nil {
				return err
			}
			number++
		}
	}
	return nil
}

// mapped keeps the segments of dataOf from being closed.
var mapped atomic.Pointer[shm.Segment]

// dataOf maps the named object once more and returns what stands behind the word of the mutex in it: bytes that the
// format does not use, where tests keep what the mutex guards.
func dataOf(name string) ([]byte, error) {
	o, err := object.Open(name, object.Spec{Kind: layout.KindMutex})
	if err != nil {
		return nil, err
	}
	if old := mapped.Swap(o.Segment); old != nil {
		old.Close()
	}
	return o.Segment.Bytes()[o.Body+16:], nil
}

// word is the word at an offset of mapped memory.
func word(b []byte, offset int) *mem.Uint64 {
	w, err := mem.At[mem.Uint64](b, offset)
	rerun.Check(err)
	return w
}
