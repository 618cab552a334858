import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;

/** What a producer is told, and what of it can be read. */
final class Producing {
    /** A time of the records' own, in milliseconds since 1970: 2025-06-01T00:00:00Z. */
    static final long JUNE = 1_748_736_000_000L;

    static void sections(Map<String, Facts.Section> s) {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            s.put("java: produce " + codec, f -> codec(f, codec));
            s.put("java: produce large batches, " + codec, f -> large(f, codec));
        }
        s.put("java: produce records with all there is", Producing::everything);
        s.put("java: produce by key", Producing::partitioner);
        s.put("java: produce in batches that must be split", Producing::split);
        s.put("java: produce what is refused", Producing::refused);
        s.put("java: produce what is too large", Producing::tooLarge);
        s.put("java: produce to topics that are not there", Producing::elsewhere);
        s.put("java: produce with acks of 0 and 1", Producing::acks);
        s.put("java: produce under the broker's time", Producing::appendTime);
    }

    private static void codec(Facts f, String codec) throws Exception {
        String topic = "jp-" + codec;
        f.topic(topic, 2);
        try (KafkaProducer<String, String> p = f.producer("compression.type", codec, "enable.idempotence", "true", "linger.ms", "20")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                ProducerRecord<String, String> r = new ProducerRecord<>(topic, i % 2, JUNE + i, i % 5 == 0 ? null : "key-" + i, "value ".repeat(i % 40) + i);
                r.headers().add("number", String.valueOf(i).getBytes(StandardCharsets.UTF_8));
                sent.add(p.send(r));
            }
            p.flush();
            for (int i : new int[] {0, 1, 2, 198, 199}) {
                RecordMetadata m = sent.get(i).get();
                f.say("record " + i + ": partition " + m.partition() + " offset " + m.offset() + " timestamp " + (m.timestamp() - JUNE) + " key " + m.serializedKeySize() + " value " + m.serializedValueSize());
            }
        }
        f.say("read: " + digest(f, topic, 2, 200));
    }

    private static void large(Facts f, String codec) throws Exception {
        String topic = "jp-large-" + codec;
        f.topic(topic, 1);
        try (KafkaProducer<String, String> p = f.producer("compression.type", codec, "batch.size", "900000", "linger.ms", "200", "max.request.size", "1000000")) {
            Future<RecordMetadata> last = null;
            for (int i = 0; i < 1500; i++) {
                last = p.send(new ProducerRecord<>(topic, 0, JUNE + i, "k" + i, ("" + (i * 7919L) % 100_003).repeat(300)));
            }
            f.say("last offset " + last.get().offset());
        }
        f.say("read: " + digest(f, topic, 1, 1500));
    }

    private static void everything(Facts f) throws Exception {
        f.topic("jp-all", 1);
        try (KafkaProducer<String, String> p = f.producer()) {
            ProducerRecord<String, String> r = new ProducerRecord<>("jp-all", 0, JUNE, "key", "value");
            r.headers().add("a", new byte[] {1, 2}).add("a", null).add("", new byte[0]).add("ü", "ö".getBytes(StandardCharsets.UTF_8));
            p.send(r).get();
            p.send(new ProducerRecord<>("jp-all", 0, (Long) (JUNE - 5000), (String) null, (String) null)).get();
            p.send(new ProducerRecord<>("jp-all", 0, 0L, "", "")).get();
            p.send(new ProducerRecord<>("jp-all", 0, JUNE + 1, "日本", "x".repeat(100_000))).get();
        }
        for (ConsumerRecord<String, String> r : read(f, "jp-all", 1, 4)) {
            f.say(line(r));
        }
        try (KafkaProducer<String, String> p = f.producer()) {
            p.partitionsFor("jp-all").forEach(i -> f.say("partition " + i.partition() + " leader " + i.leader().id() + " replicas " + i.replicas().length + " in sync " + i.inSyncReplicas().length + " offline " + i.offlineReplicas().length));
        }
    }

    private static void partitioner(Facts f) throws Exception {
        f.topic("jp-keys", 7);
        try (KafkaProducer<String, String> p = f.producer("linger.ms", "5")) {
            for (int i = 0; i < 30; i++) {
                p.send(new ProducerRecord<>("jp-keys", "key-" + i, "v"));
            }
        }
        TreeMap<Integer, List<String>> at = new TreeMap<>();
        for (ConsumerRecord<String, String> r : read(f, "jp-keys", 7, 30)) {
            at.computeIfAbsent(r.partition(), x -> new ArrayList<>()).add(r.offset() + "=" + r.key());
        }
        at.forEach((partition, keys) -> f.say("partition " + partition + ": " + keys));
    }

    private static void split(Facts f) throws Exception {
        f.topic("jp-split", 1, "max.message.bytes", "2000");
        try (KafkaProducer<String, String> p = f.producer("linger.ms", "500", "batch.size", "100000", "enable.idempotence", "true")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 30; i++) {
                sent.add(p.send(new ProducerRecord<>("jp-split", 0, JUNE + i, "k" + i, "v".repeat(300))));
            }
            p.flush();
            for (int i = 0; i < sent.size(); i += 7) {
                f.say("record " + i + " at " + sent.get(i).get().offset());
            }
            f.attempt("then", () -> p.send(new ProducerRecord<>("jp-split", 0, JUNE, "k", "after")).get().offset());
        }
        f.say("read: " + digest(f, "jp-split", 1, 31));
    }

    private static void refused(Facts f) throws Exception {
        f.topic("jp-compacted", 1, "cleanup.policy", "compact");
        f.topic("jp-timely", 1, "message.timestamp.before.max.ms", "1000", "message.timestamp.after.max.ms", "1000");
        f.topic("jp-alone", 1, "min.insync.replicas", "2");
        try (KafkaProducer<String, String> p = f.producer("retries", "0", "enable.idempotence", "false", "delivery.timeout.ms", "20000", "request.timeout.ms", "10000")) {
            f.attempt("without a key", () -> p.send(new ProducerRecord<>("jp-compacted", 0, JUNE, null, "v")).get());
            f.attempt("too early", () -> p.send(new ProducerRecord<>("jp-timely", 0, 5L, "k", "v")).get().offset() + " is taken");
            f.attempt("fewer in sync than configured, all there are", () -> p.send(new ProducerRecord<>("jp-alone", 0, "k", "v")).get().offset());
        }
        try (KafkaProducer<String, String> p = f.producer("enable.idempotence", "true")) {
            f.attempt("idempotent, without a key", () -> p.send(new ProducerRecord<>("jp-compacted", 0, JUNE, null, "v")).get());
            f.attempt("idempotent, with a key after it", () -> p.send(new ProducerRecord<>("jp-compacted", 0, JUNE, "k", "v")).get().offset());
        }
        f.say("read: " + digest(f, "jp-compacted", 1, 1));
    }

    private static void tooLarge(Facts f) throws Exception {
        f.topic("jp-small", 1, "max.message.bytes", "1000");
        f.topic("jp-big", 1);
        try (KafkaProducer<String, String> p = f.producer("max.request.size", "3000000")) {
            f.attempt("for the client", () -> p.send(new ProducerRecord<>("jp-small", 0, "k", "v".repeat(3_000_000))).get());
            f.attempt("for the topic", () -> p.send(new ProducerRecord<>("jp-small", 0, "k", "v".repeat(2000))).get());
            f.attempt("for the broker", () -> p.send(new ProducerRecord<>("jp-big", 0, "k", "v".repeat(2_000_000))).get());
            f.attempt("small enough after it", () -> p.send(new ProducerRecord<>("jp-small", 0, JUNE, "k", "v")).get().offset());
        }
        f.say("read: " + digest(f, "jp-small", 1, 1));
    }

    private static void elsewhere(Facts f) throws Exception {
        f.topic("jp-two", 2);
        try (KafkaProducer<String, String> p = f.producer("max.block.ms", "2500")) {
            f.attempt("a partition that is not there", () -> p.send(new ProducerRecord<>("jp-two", 2, "k", "v")).get());
            f.attempt("a name that is none", () -> p.send(new ProducerRecord<>("a/b", "k", "v")).get());
            f.attempt("a name that is too long", () -> p.send(new ProducerRecord<>("a".repeat(250), "k", "v")).get());
            f.attempt("partitions of a name that is none", () -> p.partitionsFor("a b"));
        }
        try (KafkaProducer<String, String> p = f.producer()) {
            f.attempt("a topic that comes by itself", () -> p.send(new ProducerRecord<>("jp-made", "k", "v")).get().offset());
            f.admin.deleteTopics(List.of("jp-made")).all().get();
            f.await("deleted", false, () -> f.admin.listTopics().names().get().contains("jp-made"));
            f.topic("jp-made", 1);
            f.attempt("the same name, made anew", () -> p.send(new ProducerRecord<>("jp-made", "k", "v")).get().offset());
        }
    }

    private static void acks(Facts f) throws Exception {
        for (String acks : List.of("0", "1")) {
            f.topic("jp-acks" + acks, 1);
            try (KafkaProducer<String, String> p = f.producer("acks", acks)) {
                for (int i = 0; i < 10; i++) {
                    RecordMetadata m = p.send(new ProducerRecord<>("jp-acks" + acks, 0, JUNE + i, "k" + i, "v")).get();
                    f.say("acks=" + acks + " record " + i + ": has an offset " + m.hasOffset() + " offset " + m.offset() + " timestamp " + (m.timestamp() - JUNE));
                }
            }
            f.say("read: " + digest(f, "jp-acks" + acks, 1, 10));
        }
    }

    private static void appendTime(Facts f) throws Exception {
        f.topic("jp-append", 1, "message.timestamp.type", "LogAppendTime");
        long before = System.currentTimeMillis();
        try (KafkaProducer<String, String> p = f.producer("compression.type", "lz4")) {
            RecordMetadata m = p.send(new ProducerRecord<>("jp-append", 0, JUNE, "k", "v")).get();
            f.say("told the broker's time: " + (m.timestamp() >= before && m.timestamp() <= System.currentTimeMillis()));
        }
        for (ConsumerRecord<String, String> r : read(f, "jp-append", 1, 1)) {
            f.say("read as " + r.timestampType() + ", the broker's time: " + (r.timestamp() >= before && r.timestamp() <= System.currentTimeMillis()));
        }
    }

    /** Reads count records of a topic from its beginning, partition after partition. */
    static List<ConsumerRecord<String, String>> read(Facts f, String topic, int partitions, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        try (KafkaConsumer<String, String> c = f.consumer()) {
            List<TopicPartition> all = new ArrayList<>();
            for (int i = 0; i < partitions; i++) {
                all.add(new TopicPartition(topic, i));
            }
            c.assign(all);
            c.seekToBeginning(all);
            long end = System.currentTimeMillis() + Facts.PATIENCE_MS;
            while (records.size() < count && System.currentTimeMillis() < end) {
                c.poll(Duration.ofMillis(200)).forEach(records::add);
            }
        }
        records.sort((a, b) -> a.partition() != b.partition() ? Integer.compare(a.partition(), b.partition()) : Long.compare(a.offset(), b.offset()));
        return records;
    }

    /** How many records there are and a checksum over all that is in them. */
    static String digest(Facts f, String topic, int partitions, int count) {
        CRC32 sum = new CRC32();
        List<ConsumerRecord<String, String>> records = read(f, topic, partitions, count);
        records.forEach(r -> sum.update(line(r).getBytes(StandardCharsets.UTF_8)));
        return records.size() + " records, checksum " + sum.getValue();
    }

    static String line(ConsumerRecord<String, String> r) {
        StringBuilder headers = new StringBuilder();
        for (Header h : r.headers()) {
            headers.append(' ').append(h.key()).append('=').append(h.value() == null ? "null" : java.util.HexFormat.of().formatHex(h.value()));
        }
        String value = r.value() != null && r.value().length() > 50 ? r.value().length() + " characters, hash " + r.value().hashCode() : r.value();
        return r.partition() + "@" + r.offset() + " epoch " + Facts.shown(r.leaderEpoch()) + " " + r.timestampType() + " " + (r.timestamp() - JUNE) + " key " + r.key() + " value " + value + " headers" + headers;
    }
}
