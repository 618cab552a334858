import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** What a consumer without a group's other members sees: places in a log, reading, and offsets that it commits. */
final class Consuming {
    private static final String TOPIC = "jc-read";
    private static final TopicPartition P0 = new TopicPartition(TOPIC, 0), P1 = new TopicPartition(TOPIC, 1), EMPTY = new TopicPartition(TOPIC, 2);
    private static final TopicPartition ABSENT = new TopicPartition(TOPIC, 9), NOWHERE = new TopicPartition("jc-nowhere", 0);

    static void sections(Map<String, Facts.Section> s) {
        s.put("java: places in a log", filled(TOPIC, Consuming::places));
        s.put("java: seek and read", filled("jc-seek", Consuming::seek));
        s.put("java: reset", filled("jc-reset", Consuming::reset));
        s.put("java: pause", filled("jc-pause", Consuming::pause));
        s.put("java: bounds of a poll", filled("jc-bounds", Consuming::bounds));
        s.put("java: commit", filled("jc-commit", Consuming::commit));
        s.put("java: commit by itself", filled("jc-auto", Consuming::auto));
        s.put("java: commit what is refused", filled("jc-refused", Consuming::refused));
        s.put("java: what there is to read", filled("jc-list", Consuming::listed));
    }

    /** A section over its topic of three partitions: 0 has 30 records, 10 s apart, in batches of one to three; 1 has two, at one time; 2 has none. */
    interface OverTopic {
        void tell(Facts f, String topic) throws Exception;
    }

    private static Facts.Section filled(String topic, OverTopic section) {
        return f -> {
            f.topic(topic, 3);
            try (KafkaProducer<String, String> p = f.producer("linger.ms", "60000", "enable.idempotence", "true")) {
                for (int i = 0; i < 30; i++) {
                    p.send(new ProducerRecord<>(topic, 0, Producing.JUNE + i * 10_000, "k" + i, "v" + i));
                    if (i % 6 == 0 || i % 6 == 3 || i % 6 == 5) {
                        p.flush();
                    }
                }
                p.send(new ProducerRecord<>(topic, 1, Producing.JUNE, "a", "x"));
                p.send(new ProducerRecord<>(topic, 1, Producing.JUNE, "b", "y"));
            }
            section.tell(f, topic);
        };
    }

    private static void places(Facts f, String topic) throws Exception {
        List<TopicPartition> all = List.of(P0, P1, EMPTY);
        try (KafkaConsumer<String, String> c = f.consumer("default.api.timeout.ms", "30000")) {
            f.attempt("beginning", () -> c.beginningOffsets(all));
            f.attempt("end", () -> c.endOffsets(all));
            for (long at : new long[] {-1_000_000, 0, 1, 10_000, 35_000, 290_000, 290_001}) {
                Map<TopicPartition, Long> times = new HashMap<>();
                all.forEach(p -> times.put(p, Producing.JUNE + at));
                f.attempt("offsets for a time of " + at, () -> {
                    TreeMap<String, String> found = new TreeMap<>();
                    c.offsetsForTimes(times).forEach((p, o) -> found.put(p.toString(), o == null ? "null" : o.offset() + " at " + (o.timestamp() - Producing.JUNE) + " epoch " + Facts.shown(o.leaderEpoch())));
                    return found;
                });
            }
            f.attempt("offsets for a time below zero", () -> c.offsetsForTimes(Map.of(P0, -1L)));
            f.attempt("end of a partition that is not there", () -> c.endOffsets(List.of(ABSENT), Duration.ofMillis(500)));
            f.attempt("end of a topic that is not there", () -> c.endOffsets(List.of(NOWHERE), Duration.ofMillis(500)));
            f.attempt("end of a topic that is none", () -> c.endOffsets(List.of(new TopicPartition("a/b", 0)), Duration.ofMillis(500)));
        }
        try (KafkaConsumer<String, String> c = f.consumer("isolation.level", "read_committed")) {
            f.attempt("end of what is committed", () -> c.endOffsets(all));
            c.assign(all);
            c.seekToEnd(all);
            f.attempt("position at the end of what is committed", () -> c.position(P0));
        }
    }

    private static void seek(Facts f, String topic) {
        TopicPartition p0 = new TopicPartition(topic, 0), p1 = new TopicPartition(topic, 1), empty = new TopicPartition(topic, 2);
        try (KafkaConsumer<String, String> c = f.consumer()) {
            f.attempt("seek before an assignment", () -> { c.seek(p0, 3); return "done"; });
            f.attempt("commit without a group", () -> { c.commitSync(); return "done"; });
            c.assign(List.of(p0, p1, empty));
            f.say("assigned " + Facts.shown(c.assignment()));
            c.seekToBeginning(List.of());
            f.say("from the beginning: " + take(c, 32));
            f.say("positions " + c.position(p0) + " " + c.position(p1) + " " + c.position(empty) + ", lag " + c.currentLag(p0) + " " + c.currentLag(p1));
            c.assign(List.of(p0));
            c.seek(p0, 17);
            f.say("from the middle of a batch: " + take(c, 13));
            c.seek(p0, new OffsetAndMetadata(29, Optional.of(0), ""));
            f.say("with an epoch: " + take(c, 1));
            c.seekToEnd(List.of(p0));
            f.say("position at the end " + c.position(p0) + ", there: " + take(c, 0));
            f.attempt("seek below zero", () -> { c.seek(p0, -1); return "done"; });
            c.seek(p0, 1000);
            f.say("from beyond the end, to the earliest: " + take(c, 30));
        }
    }

    private static void reset(Facts f, String topic) {
        TopicPartition p0 = new TopicPartition(topic, 0);
        for (String policy : List.of("earliest", "latest", "none", "by_duration:P10000D")) {
            try (KafkaConsumer<String, String> c = f.consumer("auto.offset.reset", policy, "group.id", "jc-reset")) {
                c.assign(List.of(p0));
                f.attempt(policy + ", where nothing is committed", () -> c.position(p0));
                c.seek(p0, 31);
                f.attempt(policy + ", beyond the end", () -> { c.poll(Duration.ofMillis(700)); return "read on"; });
                f.attempt(policy + ", then at", () -> c.position(p0));
            }
        }
    }

    private static void pause(Facts f, String topic) {
        TopicPartition p0 = new TopicPartition(topic, 0), p1 = new TopicPartition(topic, 1);
        try (KafkaConsumer<String, String> c = f.consumer()) {
            c.assign(List.of(p0, p1));
            c.pause(List.of(p0));
            f.say("paused " + Facts.shown(c.paused()) + ", read " + take(c, 2) + ", then " + take(c, 0));
            c.resume(List.of(p0));
            f.say("paused " + Facts.shown(c.paused()) + ", read " + take(c, 30));
            f.attempt("pause what is not assigned", () -> { c.pause(List.of(new TopicPartition(topic, 2))); return "done"; });
        }
    }

    private static void bounds(Facts f, String topic) {
        TopicPartition p0 = new TopicPartition(topic, 0);
        for (String[] settings : new String[][] {{"max.poll.records", "7"}, {"max.partition.fetch.bytes", "1"}, {"fetch.max.bytes", "1"}, {"fetch.min.bytes", "100000", "fetch.max.wait.ms", "300"}, {"check.crcs", "false", "client.rack", "r1"}}) {
            try (KafkaConsumer<String, String> c = f.consumer(settings)) {
                c.assign(List.of(p0));
                List<Integer> polls = new ArrayList<>();
                int count = 0;
                for (long end = System.currentTimeMillis() + Facts.PATIENCE_MS; count < 30 && System.currentTimeMillis() < end; ) {
                    int n = c.poll(Duration.ofMillis(200)).count();
                    count += n;
                    if (n > 0) {
                        polls.add(n);
                    }
                }
                f.say(List.of(settings) + ": " + polls);
            }
        }
    }

    private static void commit(Facts f, String topic) throws Exception {
        TopicPartition p0 = new TopicPartition(topic, 0), p1 = new TopicPartition(topic, 1), empty = new TopicPartition(topic, 2);
        try (KafkaConsumer<String, String> c = f.consumer("group.id", "jc-commit")) {
            f.attempt("committed before any", () -> c.committed(Set.of(p0, p1)));
            c.assign(List.of(p0, p1));
            f.say("read " + take(c, 32));
            f.attempt("commit all", () -> { c.commitSync(); return c.committed(Set.of(p0, p1, empty)); });
            c.commitSync(Map.of(p0, new OffsetAndMetadata(7, Optional.of(0), "a note"), empty, new OffsetAndMetadata(99, "beyond the end")));
            f.attempt("committed with notes", () -> c.committed(Set.of(p0, p1, empty)));
            CountDownLatch called = new CountDownLatch(1);
            c.commitAsync(Map.of(p1, new OffsetAndMetadata(1, "later")), (offsets, e) -> {
                f.say("told of " + Facts.shown(offsets) + " " + (e == null ? "without an error" : Facts.told(e)));
                called.countDown();
            });
            for (long end = System.currentTimeMillis() + Facts.PATIENCE_MS; called.getCount() > 0 && System.currentTimeMillis() < end; ) {
                c.poll(Duration.ofMillis(50));
            }
            f.attempt("committed later", () -> c.committed(Set.of(p1)));
            f.attempt("commit below zero", () -> { c.commitSync(Map.of(p0, new OffsetAndMetadata(-2))); return "done"; });
            f.say("its group " + c.groupMetadata().groupId() + " generation " + c.groupMetadata().generationId() + " member '" + c.groupMetadata().memberId() + "'");
        }
        try (KafkaConsumer<String, String> c = f.consumer("group.id", "jc-commit")) {
            c.assign(List.of(p0, p1));
            f.say("another starts at " + c.position(p0) + " and " + c.position(p1) + ", reads " + take(c, 24));
        }
    }

    private static void auto(Facts f, String topic) {
        TopicPartition p0 = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> c = f.consumer("group.id", "jc-auto", "enable.auto.commit", "true", "auto.commit.interval.ms", "600000", "max.poll.records", "12")) {
            c.subscribe(List.of(topic));
            f.say("read " + take(c, 32).split(" ")[0]);
            f.attempt("committed before it closes", () -> c.committed(Set.of(p0)));
        }
        try (KafkaConsumer<String, String> c = f.consumer("group.id", "jc-auto")) {
            f.attempt("committed when it has closed", () -> c.committed(Set.of(p0, new TopicPartition(topic, 1), new TopicPartition(topic, 2))));
        }
        try (KafkaConsumer<String, String> c = f.consumer("group.id", "jc-auto", "enable.auto.commit", "true", "auto.commit.interval.ms", "10")) {
            c.assign(List.of(p0));
            c.seek(p0, 0);
            f.say("read " + take(c, 30).split(" ")[0]);
            long end = System.currentTimeMillis() + Facts.PATIENCE_MS;
            c.seek(p0, 4);
            c.pause(List.of(p0));
            do {
                c.poll(Duration.ofMillis(20));
            } while (c.committed(Set.of(p0)).get(p0).offset() != 4 && System.currentTimeMillis() < end);
            f.attempt("committed in time", () -> c.committed(Set.of(p0)));
        }
    }

    private static void refused(Facts f, String topic) {
        TopicPartition p0 = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> c = f.consumer("group.id", "jc-refused", "default.api.timeout.ms", "1500")) {
            f.attempt("too long a note", () -> { c.commitSync(Map.of(p0, new OffsetAndMetadata(1, "n".repeat(5000)))); return "done"; });
            f.attempt("the longest note", () -> { c.commitSync(Map.of(p0, new OffsetAndMetadata(1, "n".repeat(4096)))); return "done"; });
            f.attempt("of a partition that is not there", () -> { c.commitSync(Map.of(new TopicPartition(topic, 9), new OffsetAndMetadata(1))); return "done"; });
            f.attempt("of a topic that is not there", () -> { c.commitSync(Map.of(NOWHERE, new OffsetAndMetadata(1))); return "done"; });
            f.attempt("committed of what is not there", () -> c.committed(Set.of(new TopicPartition(topic, 9), NOWHERE)));
        }
        f.attempt("a group without a name", () -> { f.consumer("group.id", "").close(); return "done"; });
        f.attempt("commit by itself without a group", () -> { f.consumer("enable.auto.commit", "true").close(); return "done"; });
    }

    private static void listed(Facts f, String topic) {
        try (KafkaConsumer<String, String> c = f.consumer()) {
            c.partitionsFor(topic).forEach(i -> f.say("partition " + i.partition() + " leader " + i.leader().id() + " rack " + i.leader().rack() + " replicas " + i.replicas().length + " in sync " + i.inSyncReplicas().length));
            f.attempt("partitions of a topic that is not there", () -> c.partitionsFor("jc-nowhere", Duration.ofSeconds(2)));
            f.attempt("partitions of a topic that is none", () -> c.partitionsFor("a/b", Duration.ofSeconds(2)));
            f.attempt("listed", () -> c.listTopics().keySet().stream().filter(t -> t.startsWith("jc-list")).toList());
            f.attempt("the offsets' topic has partitions", () -> c.partitionsFor("__consumer_offsets").size());
            c.assign(List.of(NOWHERE));
            f.attempt("poll a topic that is not there", () -> c.poll(Duration.ofMillis(500)).count());
            f.attempt("subscribe without a group", () -> { c.subscribe(List.of("a/b")); return "done"; });
        }
        try (KafkaConsumer<String, String> c = f.consumer("group.id", "jc-list")) {
            c.subscribe(List.of("a/b"));
            f.attempt("subscribe to a topic that is none", () -> c.poll(Duration.ofSeconds(5)).count());
        }
    }

    /** Reads count records, or polls for a moment where none is to come: how many, and which, by partition. */
    static String take(KafkaConsumer<String, String> c, int count) {
        TreeMap<Integer, List<Long>> read = new TreeMap<>();
        int n = 0;
        long end = System.currentTimeMillis() + (count > 0 ? Facts.PATIENCE_MS : 300);
        while ((n < count || count == 0) && System.currentTimeMillis() < end) {
            for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(100))) {
                read.computeIfAbsent(r.partition(), x -> new ArrayList<>()).add(r.offset());
                n++;
            }
        }
        return n + " " + read;
    }
}
