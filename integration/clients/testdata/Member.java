import java.time.Duration;
import java.util.Collection;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/** One member of a group with a thread of its own that polls until it is told to end. As a program of its own it can die without a word. */
final class Member implements Runnable, ConsumerRebalanceListener, AutoCloseable {
    private final KafkaConsumer<String, String> consumer;

    private final Thread thread;
    private volatile boolean ending;
    private volatile CloseOptions.GroupMembershipOperation leaving = CloseOptions.GroupMembershipOperation.DEFAULT;
    private volatile Throwable error;
    private volatile int generation;
    private volatile Set<String> owned = Set.of();
    /** What it was given, had taken from it, and lost, in order. */
    final ConcurrentLinkedQueue<String> events = new ConcurrentLinkedQueue<>();
    /** Every record that it read, as partition@offset. */
    final ConcurrentLinkedQueue<String> records = new ConcurrentLinkedQueue<>();

    Member(Facts f, String topic, String... settings) {
        this(f, Pattern.compile(Pattern.quote(topic)), settings);
    }

    Member(Facts f, Pattern topics, String... settings) {
        consumer = f.consumer(settings);
        consumer.subscribe(topics, this);
        thread = new Thread(this);
        thread.start();
    }

    /** Usage: Member HOST:PORT TOPIC SETTING VALUE ...: joins, says "owns [...]" whenever that changes, commits nothing, ends only by being killed. */
    public static void main(String[] args) throws Exception {
        String[] settings = java.util.Arrays.copyOfRange(args, 2, args.length);
        KafkaConsumer<String, String> c = new Facts(args[0], null).consumer(settings);
        c.subscribe(java.util.List.of(args[1]));
        String said = "";
        while (true) {
            c.poll(Duration.ofMillis(50));
            String owns = "owns " + names(c.assignment());
            if (!owns.equals(said)) {
                System.out.println(owns);
                said = owns;
            }
        }
    }

    @Override
    public void run() {
        try {
            while (!ending) {
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(50))) {
                    records.add(r.partition() + "@" + r.offset());
                }
                if (!consumer.assignment().isEmpty()) {
                    consumer.commitAsync((offsets, e) -> { });
                }
                generation = consumer.groupMetadata().generationId();
                owned = names(consumer.assignment());
            }
        } catch (Throwable e) {
            error = e;
        } finally {
            consumer.close(CloseOptions.groupMembershipOperation(leaving).withTimeout(Duration.ofSeconds(10)));
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> p) {
        events.add("given " + names(p));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> p) {
        events.add("taken " + names(p));
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> p) {
        events.add("lost " + names(p));
    }

    /** What it owns, or the error that has ended it. */
    Object state() {
        return error != null ? Facts.told(error) : owned;
    }

    int generation() {
        return generation;
    }

    /** Closes as it is by default, or so that the group hears of it, or does not. */
    void close(CloseOptions.GroupMembershipOperation how) throws InterruptedException {
        leaving = how;
        close();
    }

    @Override
    public void close() throws InterruptedException {
        ending = true;
        thread.join();
    }

    static Set<String> names(Collection<TopicPartition> partitions) {
        Set<String> names = new TreeSet<>();
        partitions.forEach(p -> names.add(p.topic().substring(p.topic().lastIndexOf('-') + 1) + p.partition()));
        return names;
    }
}
