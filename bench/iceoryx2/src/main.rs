//! iceoryx2, as it is published: the roles of a measurement, as ../../role describes them.
//! Who spins calls receive() again and again; who sleeps waits for an event of a second
//! service, which the sender notifies after each record.
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

type Failure = Box<dyn std::error::Error>;

const ORDINARY: u64 = 0;
const END: u64 = 2;
const SAMPLES: usize = 1 << 20;

/// What a process is to do.
struct Job {
    near: bool,
    measure: String,
    wait: String,
    words: usize,
    area: usize,
    there: String,
    back: String,
    dir: String,
    time: Duration,
    ends: usize,
    count: usize,
    copy: bool,
    untouched: bool,
}

impl Job {
    fn read() -> Job {
        let args: HashMap<String, String> = std::env::args()
            .skip(1)
            .filter_map(|a| a.split_once('=').map(|(k, v)| (k.to_string(), v.to_string())))
            .collect();
        let text = |name: &str| args.get(name).cloned().unwrap_or_default();
        let number = |name: &str, least: usize| text(name).parse::<usize>().unwrap_or(0).max(least);
        Job {
            near: text("side") == "near",
            measure: text("measure"),
            wait: text("wait"),
            words: number("size", 64) / 8,
            area: number("area", 1 << 20),
            there: text("there"),
            back: text("back"),
            dir: text("dir"),
            time: Duration::from_secs_f64(text("seconds").parse().unwrap_or(0.1)),
            ends: number("ends", 1),
            count: number("count", 1),
            copy: text("copy") == "1",
            untouched: text("untouched") == "1",
        }
    }

    fn sleeps(&self) -> bool {
        self.wait == "block" || self.wait == "cold"
    }

    /// Whether enough has been done before what is measured.
    fn warm(&self, since: Duration, records: u64) -> bool {
        since > self.time / 5
            && (self.count > 1 || records as usize * self.words * 8 >= 2 * self.area || since > self.time * 2)
    }

    /// How many records are sent or received between two looks at the clock.
    fn look(&self) -> u64 {
        (65536 / (self.words * 8) / self.count).max(1) as u64
    }
}

#[derive(Default, Clone, Copy)]
struct Tally {
    records: u64,
    sum: u64,
}

impl Tally {
    fn count(&mut self, sum: u64) {
        self.records += 1;
        self.sum = self.sum.wrapping_add(sum);
    }
}

/// What a process has found.
#[derive(Default)]
struct Outcome {
    sent: Tally,
    received: Tally,
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
    count: u64,
    took: u128,
    cpu: i64,
    switches: i64,
}

impl Outcome {
    fn percentiles(&mut self, times: &mut [u32]) {
        if times.is_empty() {
            return;
        }
        times.sort_unstable();
        let at = |n: usize| times[(times.len() * n / 1000).min(times.len() - 1)] as f64;
        (self.p50, self.p99, self.p999, self.max) = (at(500), at(990), at(999), at(1000));
        self.count = times.len() as u64;
    }

    fn print(&self) {
        println!(
            "{{\"sent\":{{\"records\":{},\"sum\":{}}},\"received\":{{\"records\":{},\"sum\":{}}},\"p50\":{},\"p99\":{},\"p999\":{},\
             \"max\":{},\"count\":{},\"took\":{},\"cpu\":{},\"switches\":{}}}",
            self.sent.records, self.sent.sum, self.received.records, self.received.sum, self.p50, self.p99, self.p999, self.max,
            self.count, self.took, self.cpu, self.switches
        );
    }
}

struct Usage(libc::rusage, Instant);

impl Usage {
    fn now() -> libc::rusage {
        unsafe {
            let mut u: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &mut u);
            u
        }
    }

    fn start() -> Usage {
        Usage(Self::now(), Instant::now())
    }

    fn stop(&self, o: &mut Outcome) {
        let spent = |u: &libc::rusage| {
            (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1_000_000_000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000
        };
        let now = Self::now();
        o.cpu = spent(&now) - spent(&self.0);
        o.switches = now.ru_nvcsw - self.0.ru_nvcsw;
        o.took = self.1.elapsed().as_nanos();
    }
}

fn clock_cost() -> u64 {
    (0..64)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..63 {
                std::hint::black_box(Instant::now());
            }
            begin.elapsed().as_nanos() as u64 / 64
        })
        .min()
        .unwrap_or(0)
}

/// sum adds all words.
fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0u64, |a, w| a.wrapping_add(*w))
}

/// sum_pages adds the head, and the first and last word of each page.
fn sum_pages(words: &[u64]) -> u64 {
    let mut total = words[0].wrapping_add(words[1]);
    for at in (0..words.len() / 512).map(|page| page * 512) {
        if at > 0 {
            total = total.wrapping_add(words[at]);
        }
        total = total.wrapping_add(words[at + 511]);
    }
    total
}

struct Sender {
    publisher: Publisher<ipc::Service, [u64], ()>,
    notifier: Option<Notifier<ipc::Service>>,
    record: Vec<u64>,
    rest: u64,
    untouched: bool,
    tally: Tally,
}

impl Sender {
    fn send(&mut self, number: u64, tells: u64) -> Result<(), Failure> {
        let words = self.record.len();
        let mut sample = self.publisher.loan_slice_uninit(words)?;
        let sample = if self.untouched {
            let to = sample.payload_mut();
            to[0].write(number);
            to[1].write(tells);
            self.tally.count(number.wrapping_add(tells));
            unsafe { sample.assume_init() }
        } else {
            if words == 8 {
                self.record.fill(number);
                self.tally.count(number.wrapping_mul(7).wrapping_add(tells));
            } else {
                self.record[0] = number;
                self.tally.count(self.rest.wrapping_add(number).wrapping_add(tells));
            }
            self.record[1] = tells;
            sample.write_from_slice(&self.record)
        };
        sample.send()?;
        if let Some(n) = &self.notifier {
            n.notify()?;
        }
        Ok(())
    }
}

struct Receiver {
    subscribers: Vec<Subscriber<ipc::Service, [u64], ()>>,
    listener: Option<Listener<ipc::Service>>,
    mine: Vec<u64>,
    copy: bool,
    untouched: bool,
    turn: usize,
    tally: Tally,
}

impl Receiver {
    /// Returns the first two words of the next record.
    fn receive(&mut self) -> Result<(u64, u64), Failure> {
        loop {
            let of = self.subscribers.len();
            if let Some(sample) = self.subscribers[self.turn].receive()? {
                let words = sample.payload();
                let total = if self.untouched {
                    words[0].wrapping_add(words[1])
                } else if self.copy {
                    self.mine.copy_from_slice(words);
                    sum_pages(&self.mine)
                } else {
                    sum(words)
                };
                self.tally.count(total);
                return Ok((words[0], words[1]));
            }
            self.turn = (self.turn + 1) % of;
            if let Some(l) = &self.listener {
                l.blocking_wait(|_| {})?;
            }
        }
    }
}

fn node(j: &Job) -> Result<Node<ipc::Service>, Failure> {
    let mut config = Config::default();
    let prefix = FilePath::new(&j.dir).file_name().and_then(|n| n.to_str()).unwrap_or("shoal-bench-0-");
    config.global.prefix = FileName::new(prefix.as_bytes())?;
    config.global.set_root_path(&Path::new(j.dir.as_bytes())?);
    Ok(NodeBuilder::new().config(&config).create::<ipc::Service>()?)
}

/// The ends of one direction.
struct Direction {
    data: iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, [u64], ()>,
    bell: Option<iceoryx2::service::port_factory::event::PortFactory<ipc::Service>>,
    depth: usize,
    waits: bool,
}

fn direction(j: &Job, node: &Node<ipc::Service>, name: &str) -> Result<Direction, Failure> {
    let many = j.measure == "publish" || j.count > 1;
    let latest = j.measure == "latest";
    let depth = match () {
        _ if latest => 1,
        _ if j.measure == "publish" => 2,
        _ if many => 64,
        _ => (j.area / (j.words * 8)).clamp(2, 16384),
    };
    // Records that would not fit replace the oldest ones only where nobody reads them all.
    let overflow = latest || j.measure == "publish";
    let data = node
        .service_builder(&ServiceName::new(name)?)
        .publish_subscribe::<[u64]>()
        .max_publishers(j.ends.clamp(2, 16))
        .max_subscribers(if many { j.count.max(2) } else { 2 })
        .subscriber_max_buffer_size(depth)
        .history_size(0)
        .enable_safe_overflow(overflow)
        .open_or_create()?;
    let bell = match j.sleeps() {
        false => None,
        true => Some(node.service_builder(&ServiceName::new(&format!("{name}-bell"))?).event().open_or_create()?),
    };
    Ok(Direction { data, bell, depth, waits: !overflow })
}

fn sender(j: &Job, d: &Direction) -> Result<Sender, Failure> {
    let mut record = vec![0u64; j.words];
    for (at, word) in record.iter_mut().enumerate().skip(2) {
        *word = (at as u64 * 8).wrapping_mul(0x9e3779b97f4a7c15);
    }
    let rest = if j.copy { sum_pages(&record) } else { sum(&record) };
    Ok(Sender {
        publisher: d
            .data
            .publisher_builder()
            .initial_max_slice_len(j.words)
            .backpressure_strategy(if d.waits {
                BackpressureStrategy::RetryUntilDelivered
            } else {
                BackpressureStrategy::DiscardData
            })
            .create()?,
        notifier: d.bell.as_ref().map(|b| b.notifier_builder().create()).transpose()?,
        record,
        rest,
        untouched: j.untouched,
        tally: Tally::default(),
    })
}

fn receiver(j: &Job, d: &Direction, count: usize) -> Result<Receiver, Failure> {
    let mut subscribers = Vec::new();
    for _ in 0..count {
        subscribers.push(d.data.subscriber_builder().buffer_size(d.depth).create()?);
    }
    Ok(Receiver {
        subscribers,
        listener: d.bell.as_ref().map(|b| b.listener_builder().create()).transpose()?,
        mine: vec![0; j.words],
        copy: j.copy,
        untouched: j.untouched,
        turn: 0,
        tally: Tally::default(),
    })
}

fn ping(j: &Job, s: &mut Sender, r: &mut Receiver, o: &mut Outcome) -> Result<(), Failure> {
    let cost = clock_cost();
    let mut times: Vec<u32> = vec![1; SAMPLES];
    times.clear();
    let (begin, mut number, mut measuring) = (Instant::now(), 0, None);
    let (mut last, mut usage) = (begin, Usage::start());
    loop {
        if j.wait == "cold" {
            std::thread::sleep(Duration::from_millis(1));
            last = Instant::now();
        }
        number += 1;
        s.send(number, ORDINARY)?;
        if r.receive()?.0 != number {
            return Err("a record has come back as another one".into());
        }
        let now = Instant::now();
        match measuring {
            Some(from) => {
                let ns = ((now - last).as_nanos() as u64).saturating_sub(cost);
                times.push(ns.min(u32::MAX as u64) as u32);
                if now - from > j.time || times.len() == SAMPLES {
                    break;
                }
            }
            None if j.warm(now - begin, number) || j.wait == "cold" => {
                measuring = Some(now);
                usage = Usage::start();
            }
            None => {}
        }
        last = now;
    }
    usage.stop(o);
    s.send(number + 1, END)?;
    o.percentiles(&mut times);
    Ok(())
}

fn pong(s: &mut Sender, r: &mut Receiver, o: &mut Outcome) -> Result<(), Failure> {
    let mut usage = None;
    loop {
        let (number, tells) = r.receive()?;
        let usage = usage.get_or_insert_with(Usage::start);
        if tells == END {
            usage.stop(o);
            return Ok(());
        }
        s.send(number, ORDINARY)?;
    }
}

fn pour(j: &Job, s: &mut Sender, o: &mut Outcome) -> Result<(), Failure> {
    // A subscriber that has not looked yet is not waited for: what it has no room for is lost.
    std::thread::sleep(Duration::from_millis(20));
    let (begin, mut number, mut end) = (Instant::now(), 0, None);
    let mut usage = Usage::start();
    loop {
        for _ in 0..j.look() {
            s.send(number, ORDINARY)?;
            number += 1;
        }
        let now = Instant::now();
        match end {
            Some(end) if now > end => break,
            Some(_) => {}
            None if j.warm(now - begin, number) => {
                end = Some(now + j.time + j.time / 10);
                usage = Usage::start();
            }
            None => {}
        }
    }
    usage.stop(o);
    s.send(number, END)
}

fn drain(j: &Job, r: &mut Receiver, o: &mut Outcome) -> Result<(), Failure> {
    for s in &r.subscribers {
        s.has_samples()?;
    }
    let (begin, mut ends, mut left) = (Instant::now(), j.ends, j.look());
    let (mut first, mut before, mut done) = (None, 0, false);
    let mut usage = Usage::start();
    let mut finish = |r: &Receiver, from: Instant, before: u64, usage: &Usage| {
        usage.stop(o);
        o.count = r.tally.records - before;
        o.took = from.elapsed().as_nanos();
    };
    while ends > 0 {
        if r.receive()?.1 == END {
            ends -= 1;
        }
        left -= 1;
        if left > 0 || done {
            left = left.max(1);
            continue;
        }
        left = j.look();
        let now = Instant::now();
        match first {
            None if j.warm(now - begin, r.tally.records / j.count as u64) => {
                first = Some(now);
                before = r.tally.records;
                usage = Usage::start();
            }
            Some(from) if now - from > j.time => {
                finish(r, from, before, &usage);
                done = true;
            }
            _ => {}
        }
    }
    if let (Some(from), false) = (first, done) {
        finish(r, from, before, &usage);
    }
    Ok(())
}

fn publish(j: &Job, s: &mut Sender, o: &mut Outcome) -> Result<(), Failure> {
    const BURST: u64 = 64;
    let cost = clock_cost();
    let mut times = Vec::with_capacity(SAMPLES);
    let (begin, usage, mut number) = (Instant::now(), Usage::start(), 0);
    while begin.elapsed() < j.time * 6 / 5 && times.len() < SAMPLES {
        let from = Instant::now();
        for _ in 0..BURST {
            s.send(number, ORDINARY)?;
            number += 1;
        }
        if begin.elapsed() > j.time / 5 {
            times.push(((from.elapsed().as_nanos() as u64).saturating_sub(cost) / BURST) as u32);
        }
    }
    usage.stop(o);
    o.percentiles(&mut times);
    Ok(())
}

/// A value every two microseconds, of which the other side wants the latest.
const PACE: Duration = Duration::from_micros(2);

fn write_latest(j: &Job, s: &mut Sender, o: &mut Outcome) -> Result<(), Failure> {
    let (begin, mut number) = (Instant::now(), 0u32);
    let mut times = Vec::with_capacity(SAMPLES);
    while begin.elapsed() < j.time * 7 / 5 && times.len() < SAMPLES {
        while begin.elapsed() < PACE * number {}
        let from = Instant::now();
        s.send(number as u64, ORDINARY)?;
        times.push(from.elapsed().as_nanos() as u32);
        number += 1;
    }
    o.percentiles(&mut times);
    Ok(())
}

fn read_latest(j: &Job, r: &mut Receiver, o: &mut Outcome) -> Result<(), Failure> {
    let cost = clock_cost();
    let mut times = Vec::with_capacity(SAMPLES);
    let (begin, usage) = (Instant::now(), Usage::start());
    while begin.elapsed() < j.time * 6 / 5 && times.len() < SAMPLES {
        let pause = Instant::now();
        while pause.elapsed() < PACE * 10 {}
        let from = Instant::now();
        let mut got = false;
        while let Some(sample) = r.subscribers[0].receive()? {
            std::hint::black_box(sum(sample.payload()));
            got = true;
        }
        if got && begin.elapsed() > j.time / 5 {
            times.push((from.elapsed().as_nanos() as u64).saturating_sub(cost) as u32);
        }
    }
    usage.stop(o);
    o.percentiles(&mut times);
    Ok(())
}

fn attach(j: &Job, o: &mut Outcome) -> Result<(), Failure> {
    let mut times = Vec::with_capacity(SAMPLES);
    let (begin, usage) = (Instant::now(), Usage::start());
    while begin.elapsed() < j.time {
        let from = Instant::now();
        {
            let node = node(j)?;
            let there = direction(j, &node, &j.there)?;
            receiver(j, &there, 1)?;
        }
        times.push(from.elapsed().as_nanos().min(u32::MAX as u128) as u32);
    }
    usage.stop(o);
    o.percentiles(&mut times);
    Ok(())
}

/// iceoryx2's own method: two threads of one process, records that are neither written
/// nor read, the whole time divided by twice the round trips.
fn threads(j: Job, o: &mut Outcome) -> Result<(), Failure> {
    const TRIPS: u32 = 1 << 16;
    stand_by()?;
    let usage = Usage::start();
    let begin = Instant::now();
    let mut total = 0;
    let text = |e: Failure| e.to_string();
    let start = std::sync::Barrier::new(2);
    while begin.elapsed() < j.time {
        let took = std::thread::scope(|scope| -> Result<Duration, String> {
            let other = scope.spawn(|| -> Result<(), String> {
                let node = node(&j).map_err(text)?;
                let (there, back) = (direction(&j, &node, "a").map_err(text)?, direction(&j, &node, "b").map_err(text)?);
                let mut r = receiver(&j, &there, 1).map_err(text)?;
                let mut s = sender(&j, &back).map_err(text)?;
                start.wait();
                for n in 0..TRIPS {
                    r.receive().map_err(text)?;
                    s.send(n as u64, ORDINARY).map_err(text)?;
                }
                start.wait();
                Ok(())
            });
            let node = node(&j).map_err(text)?;
            let (there, back) = (direction(&j, &node, "a").map_err(text)?, direction(&j, &node, "b").map_err(text)?);
            let mut s = sender(&j, &there).map_err(text)?;
            let mut r = receiver(&j, &back, 1).map_err(text)?;
            start.wait();
            let begin = Instant::now();
            for n in 0..TRIPS {
                s.send(n as u64, ORDINARY).map_err(text)?;
                r.receive().map_err(text)?;
            }
            let took = begin.elapsed();
            start.wait();
            other.join().map_err(|_| "a thread has panicked".to_string())??;
            Ok(took)
        })?;
        total += 1;
        o.p50 = took.as_nanos() as f64 / TRIPS as f64;
    }
    usage.stop(o);
    o.count = total * TRIPS as u64;
    Ok(())
}

/// Waits until all processes are ready.
fn stand_by() -> Result<(), Failure> {
    println!("ready");
    std::io::stdout().flush()?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        return Err("nobody says go".into());
    }
    Ok(())
}

/// Waits until nobody needs this process any more.
fn linger() {
    for line in std::io::stdin().lock().lines() {
        if line.is_err() {
            return;
        }
    }
}

fn play(j: Job) -> Result<Outcome, Failure> {
    let mut o = Outcome::default();
    if j.measure == "threads" {
        threads(j, &mut o)?;
        return Ok(o);
    }
    let node = node(&j)?;
    let there = direction(&j, &node, &j.there)?;
    let back = match j.measure == "ping" {
        true => Some(direction(&j, &node, &j.back)?),
        false => None,
    };
    let (out, from) = if j.near { (Some(&there), back.as_ref()) } else { (back.as_ref(), Some(&there)) };
    let mut s = out.map(|d| sender(&j, d)).transpose()?;
    let mut r = from.map(|d| receiver(&j, d, j.count)).transpose()?;
    stand_by()?;
    match (j.measure.as_str(), j.near, s.as_mut(), r.as_mut()) {
        ("ping", true, Some(s), Some(r)) => ping(&j, s, r, &mut o)?,
        ("ping", false, Some(s), Some(r)) => pong(s, r, &mut o)?,
        ("stream", true, Some(s), _) => pour(&j, s, &mut o)?,
        ("stream", false, _, Some(r)) => drain(&j, r, &mut o)?,
        ("publish", true, Some(s), _) => publish(&j, s, &mut o)?,
        ("latest", true, Some(s), _) => write_latest(&j, s, &mut o)?,
        ("latest", false, _, Some(r)) => read_latest(&j, r, &mut o)?,
        ("attach", true, ..) => attach(&j, &mut o)?,
        ("publish" | "attach", false, ..) | ("hold", ..) => linger(),
        _ => return Err(format!("{}: there is none", j.measure).into()),
    }
    o.sent = s.as_ref().map(|s| s.tally).unwrap_or_default();
    o.received = r.as_ref().map(|r| r.tally).unwrap_or_default();
    o.print();
    std::io::stdout().flush()?;
    // A receiver that ends takes its buffer along, but not what it still has to answer.
    if j.near && j.measure != "attach" {
        linger();
    }
    Ok(o)
}

fn main() {
    set_log_level(LogLevel::Error);
    let j = Job::read();
    let threads = j.measure == "threads";
    match play(j) {
        Ok(o) if threads => o.print(),
        Ok(_) => {}
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1);
        }
    }
}
