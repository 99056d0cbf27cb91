import io.aeron.Aeron;
import io.aeron.ExclusivePublication;
import io.aeron.FragmentAssembler;
import io.aeron.Publication;
import io.aeron.Subscription;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.ThreadingMode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.agrona.BufferUtil;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.BackoffIdleStrategy;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Aeron IPC, as it is published: the roles of a measurement, as ../role describes them. The media driver is a process of
 * its own, which only conducts: records go from publisher to subscriber. Both sides poll without a pause.
 */
public final class Roles {
    private static final long ORDINARY = 0, END = 2;
    private static final int SAMPLES = 1 << 20;
    private static final int STREAM = 1001;

    private final Map<String, String> job = new HashMap<>();
    private final boolean near, copy;
    private final String measure;
    private final int size, area;
    private final long time;

    private ExclusivePublication out;
    private Subscription in;
    private UnsafeBuffer record;
    private final byte[] mine;
    private long rest;

    private long sent, sentSum, received, receivedSum;
    private long number, tells; // of the last record

    private int p50, p99, p999, max;
    private long count, took, cpu, switches;
    private long cpuFrom, switchesFrom, from;

    public static void main(final String[] args) throws Exception {
        try {
            new Roles(args).play();
            System.exit(0);
        } catch (final Exception e) {
            System.err.println(e);
            System.exit(1);
        }
    }

    private Roles(final String[] args) {
        for (final String arg : args) {
            final int at = arg.indexOf('=');
            job.put(arg.substring(0, at), arg.substring(at + 1));
        }
        near = job.get("side").equals("near");
        copy = job.get("copy").equals("1");
        measure = job.get("measure");
        size = Integer.parseInt(job.get("size"));
        area = Integer.parseInt(job.get("area"));
        time = (long)(Double.parseDouble(job.get("seconds")) * 1e9);
        mine = new byte[size];
    }

    private String directory() {
        // Its files stand in shared memory, under a name by which they are found and removed.
        return "/dev/shm/" + Path.of(job.get("dir")).getFileName() + "aeron";
    }

    private void play() throws Exception {
        final BufferedReader stdin = new BufferedReader(new InputStreamReader(System.in));
        if (job.get("side").equals("server")) {
            final MediaDriver.Context context = new MediaDriver.Context()
                .aeronDirectoryName(directory()).dirDeleteOnStart(true).dirDeleteOnShutdown(true)
                .termBufferSparseFile(false).threadingMode(ThreadingMode.SHARED)
                // With two processors, both of which spin: the driver must not be asleep for long.
                .sharedIdleStrategy(new BackoffIdleStrategy(100, 10, 1_000, 50_000))
                .ipcMtuLength(65504)
                .ipcTermBufferLength(Math.max(16 << 20, 8 * size));
            try (MediaDriver ignored = MediaDriver.launch(context)) {
                ready(stdin);
                usageStart();
                while (stdin.readLine() != null) {
                }
                usageStop();
                print();
                System.out.flush();
            }
            return;
        }
        final ByteBuffer bytes = BufferUtil.allocateDirectAligned(size, 64).order(ByteOrder.LITTLE_ENDIAN);
        record = new UnsafeBuffer(bytes);
        for (int at = 16; size != 64 && at + 8 <= size; at += 8) {
            record.putLong(at, at * 0x9e3779b97f4a7c15L);
        }
        rest = copy ? sumPages(record, 0) : sum(record, 0);
        final Aeron aeron = Aeron.connect(new Aeron.Context().aeronDirectoryName(directory()).preTouchMappedMemory(true));
        final int there = STREAM, back = STREAM + 1;
        final boolean both = measure.equals("ping");
        if (near) {
            out = aeron.addExclusivePublication("aeron:ipc", there);
            if (both) {
                in = aeron.addSubscription("aeron:ipc", back);
            }
        } else {
            in = aeron.addSubscription("aeron:ipc", there);
            if (both) {
                out = aeron.addExclusivePublication("aeron:ipc", back);
            }
        }
        ready(stdin);
        if (measure.equals("hold")) {
            while (stdin.readLine() != null) {
            }
        }
        while (out != null && !out.isConnected() || in != null && !in.isConnected() && !measure.equals("hold")) {
            Thread.yield();
        }
        switch (measure + (near ? "/near" : "/far")) {
            case "ping/near" -> ping();
            case "ping/far" -> pong();
            case "stream/near" -> pour();
            case "stream/far" -> drain();
            case "hold/near", "hold/far" -> { }
            default -> throw new IllegalArgumentException(measure + ": there is none");
        }
        print();
        System.out.flush();
        if (near) { // what it has sent last must not go with it
            while (stdin.readLine() != null) {
            }
        }
    }

    private static void ready(final BufferedReader stdin) throws Exception {
        System.out.println("ready");
        System.out.flush();
        if (stdin.readLine() == null) {
            throw new IllegalStateException("nobody says go");
        }
    }

    private static long sum(final DirectBuffer b, final int offset, final int size) {
        long a = 0, c = 0;
        int at = offset;
        for (final int end = offset + (size & ~15); at < end; at += 16) {
            a += b.getLong(at);
            c += b.getLong(at + 8);
        }
        return (size & 8) != 0 ? a + c + b.getLong(at) : a + c;
    }

    private long sum(final DirectBuffer b, final int offset) {
        return sum(b, offset, size);
    }

    private long sumPages(final DirectBuffer b, final int offset) {
        long total = b.getLong(offset) + b.getLong(offset + 8);
        for (int at = 0; at + 4096 <= size; at += 4096) {
            total += (at > 0 ? b.getLong(offset + at) : 0) + b.getLong(offset + at + 4088);
        }
        return total;
    }

    private void send(final long number, final long tells) {
        if (size == 64) {
            for (int at = 16; at < 64; at += 8) {
                record.putLong(at, number);
            }
            sentSum += 7 * number + tells;
        } else {
            sentSum += rest + number + tells;
        }
        record.putLong(0, number);
        record.putLong(8, tells);
        sent++;
        long result;
        while ((result = out.offer(record, 0, size)) < 0) {
            if (result == Publication.CLOSED || result == Publication.MAX_POSITION_EXCEEDED) {
                throw new IllegalStateException("the publication is closed");
            }
            Thread.yield(); // to the driver, which moves the limit
        }
    }

    private final UnsafeBuffer own = new UnsafeBuffer(new byte[0]);

    private void arrived(final DirectBuffer b, final int offset) {
        number = b.getLong(offset);
        tells = b.getLong(offset + 8);
        if (copy) {
            b.getBytes(offset, mine);
            own.wrap(mine);
            receivedSum += sumPages(own, 0);
        } else {
            receivedSum += sum(b, offset);
        }
        received++;
    }

    private final FragmentAssembler handler =
        new FragmentAssembler((buffer, offset, length, header) -> arrived(buffer, offset));

    private void receive() {
        final long before = received;
        for (int idle = 0; received == before; ) {
            if (in.poll(handler, 1) == 0 && ++idle % 256 != 0) {
                Thread.onSpinWait();
            } else if (received == before) {
                Thread.yield(); // to the driver
            }
        }
    }

    private boolean warm(final long since, final long records) {
        // A machine that compiles what it runs gets more time than others.
        return since > Math.max(time / 5, 300_000_000L) && (records * size >= 2L * area || since > 300_000_000L + 2 * time);
    }

    private void ping() {
        final int[] times = new int[SAMPLES];
        int taken = 0;
        final long cost = clockCost(), begin = System.nanoTime();
        long n = 0, end = 0;
        for (long last = begin; taken < SAMPLES; ) {
            send(++n, ORDINARY);
            receive();
            if (number != n) {
                throw new IllegalStateException("a record has come back as another one");
            }
            final long now = System.nanoTime();
            if (end != 0) {
                times[taken++] = (int)Math.min(Math.max(now - last - cost, 0), Integer.MAX_VALUE);
                if (now > end) {
                    break;
                }
            } else if (warm(now - begin, n)) {
                end = now + time;
                usageStart();
            }
            last = now;
        }
        usageStop();
        send(n + 1, END);
        Arrays.sort(times, 0, taken);
        p50 = times[taken / 2];
        p99 = times[(int)(taken * 99L / 100)];
        p999 = times[(int)(taken * 999L / 1000)];
        max = times[taken - 1];
        count = taken;
    }

    private void pong() {
        for (boolean first = true;; first = false) {
            receive();
            if (first) {
                usageStart();
            }
            if (tells == END) {
                usageStop();
                return;
            }
            send(number, ORDINARY);
        }
    }

    private void pour() {
        final int look = Math.max(65536 / size, 1);
        final long begin = System.nanoTime();
        long n = 0, end = 0;
        while (true) {
            for (int i = 0; i < look; i++) {
                send(n++, ORDINARY);
            }
            final long now = System.nanoTime();
            if (end == 0 && warm(now - begin, n)) {
                end = now + time * 11 / 10;
                usageStart();
            } else if (end != 0 && now > end) {
                break;
            }
        }
        usageStop();
        send(n, END);
    }

    private void drain() {
        final int look = Math.max(65536 / size, 1);
        final long begin = System.nanoTime();
        long first = 0, before = 0, next = look;
        boolean done = false;
        while (true) {
            if (in.poll(handler, 64) == 0) {
                Thread.yield();
                continue;
            }
            if (received > 0 && tells == END) {
                break;
            }
            if (received < next || done) {
                continue;
            }
            next = received + look;
            final long now = System.nanoTime();
            if (first == 0 && warm(now - begin, received)) {
                first = now;
                before = received;
                usageStart();
            } else if (first != 0 && now > first + time) {
                done = true;
                usageStop();
                count = received - before;
                took = now - first;
            }
        }
        if (first != 0 && !done) {
            usageStop();
            count = received - before;
            took = System.nanoTime() - first;
        }
    }

    private static long clockCost() {
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 64; i++) {
            final long begin = System.nanoTime();
            for (int k = 0; k < 63; k++) {
                System.nanoTime();
            }
            least = Math.min(least, (System.nanoTime() - begin) / 64);
        }
        return least;
    }

    private static long cpuTime() {
        return ((com.sun.management.OperatingSystemMXBean)ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    /** How often threads of this process have gone to sleep; those that have ended are not among them. */
    private static long voluntarySwitches() {
        long total = 0;
        try (var tasks = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (final Path task : tasks) {
                for (final String line : Files.readAllLines(task.resolve("status"))) {
                    if (line.startsWith("voluntary_ctxt_switches:")) {
                        total += Long.parseLong(line.substring(line.indexOf(':') + 1).trim());
                    }
                }
            }
        } catch (final IOException e) {
            return 0;
        }
        return total;
    }

    private void usageStart() {
        cpuFrom = cpuTime();
        switchesFrom = voluntarySwitches();
        from = System.nanoTime();
    }

    private void usageStop() {
        cpu = cpuTime() - cpuFrom;
        switches = Math.max(voluntarySwitches() - switchesFrom, 0);
        took = System.nanoTime() - from;
    }

    private void print() {
        System.out.println("{\"sent\":{\"records\":" + sent + ",\"sum\":" + Long.toUnsignedString(sentSum) +
            "},\"received\":{\"records\":" + received + ",\"sum\":" + Long.toUnsignedString(receivedSum) + "},\"p50\":" + p50 +
            ",\"p99\":" + p99 + ",\"p999\":" + p999 + ",\"max\":" + max + ",\"count\":" + count + ",\"took\":" + took +
            ",\"cpu\":" + cpu + ",\"switches\":" + switches + "}");
    }
}
