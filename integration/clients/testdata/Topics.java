import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** What Admin does with topics, their partitions and configs, and what it says of the cluster. */
final class Topics {
    static void sections(Map<String, Facts.Section> s) {
        s.put("java: create topics", Topics::create);
        s.put("java: describe topics", Topics::describe);
        s.put("java: delete topics", Topics::delete);
        s.put("java: create partitions", Topics::partitions);
        s.put("java: describe configs", Topics::configs);
        s.put("java: alter configs", Topics::alter);
        s.put("java: describe the cluster", Topics::cluster);
        s.put("java: describe log folders", Topics::folders);
    }

    /** Says each key's outcome, in the keys' order. */
    static <K, V> void each(Facts f, String what, Map<K, KafkaFuture<V>> outcomes) {
        TreeMap<String, KafkaFuture<V>> sorted = new TreeMap<>();
        outcomes.forEach((k, v) -> sorted.put(String.valueOf(k), v));
        sorted.forEach((k, v) -> f.attempt(what + " " + k, v::get));
    }

    private static void create(Facts f) throws Exception {
        List<NewTopic> topics = List.of(
            new NewTopic("jt-plain", 3, (short) 1), new NewTopic("jt-default", Optional.empty(), Optional.empty()), new NewTopic("jt-placed", Map.of(0, List.of(1), 1, List.of(1))),
            new NewTopic("jt-tuned", 1, (short) 1).configs(Map.of("retention.ms", "1000", "cleanup.policy", "compact")),
            new NewTopic("jt-none", 0, (short) 1), new NewTopic("jt-less", -5, (short) 1), new NewTopic("jt-copies", 1, (short) 3), new NewTopic("jt-nocopy", 1, (short) 0), new NewTopic("jt bad", 1, (short) 1),
            new NewTopic("jt-elsewhere", Map.of(0, List.of(7))), new NewTopic("jt-gap", Map.of(0, List.of(1), 2, List.of(1))), new NewTopic("jt-twice", Map.of(0, List.of(1, 1))), new NewTopic("jt-nobody", Map.of(0, List.of())),
            new NewTopic("jt-config", 1, (short) 1).configs(Map.of("no.such", "1")), new NewTopic("jt-value", 1, (short) 1).configs(Map.of("retention.ms", "soon")), new NewTopic("jt-null", 1, (short) 1).configs(nulled("retention.ms")),
            new NewTopic("", 1, (short) 1), new NewTopic(".", 1, (short) 1), new NewTopic("j".repeat(250), 1, (short) 1), new NewTopic("__consumer_offsets", 1, (short) 1));
        each(f, "only validated:", f.admin.createTopics(topics.subList(0, 8), new CreateTopicsOptions().validateOnly(true)).values());
        CreateTopicsResult made = f.admin.createTopics(topics);
        Map<String, KafkaFuture<Void>> named = new HashMap<>(made.values());
        named.remove("__consumer_offsets"); // others may have made it by now
        each(f, "created", named);
        for (String t : List.of("jt-plain", "jt-default", "jt-placed", "jt-tuned")) {
            f.say(t + " has " + made.numPartitions(t).get() + " partitions, " + made.replicationFactor(t).get() + " replicas, an id " + !made.topicId(t).get().equals(Uuid.ZERO_UUID));
        }
        made.config("jt-tuned").get().entries().stream().filter(e -> Set.of("retention.ms", "cleanup.policy", "segment.bytes").contains(e.name())).map(ConfigEntry::toString).sorted().forEach(f::say);
        each(f, "again", f.admin.createTopics(List.of(new NewTopic("jt-plain", 3, (short) 1), new NewTopic("jt_plain", 1, (short) 1))).values());
        each(f, "of a name that collides", f.admin.createTopics(List.of(new NewTopic("jt.plain", 1, (short) 1))).values());
        f.attempt("none at all", () -> f.admin.createTopics(List.of()).all().get());
    }

    private static Map<String, String> nulled(String name) {
        Map<String, String> m = new HashMap<>();
        m.put(name, null);
        return m;
    }

    private static void describe(Facts f) throws Exception {
        f.topic("jd-a", 3);
        f.topic("jd-b", 1, "min.insync.replicas", "2");
        DescribeTopicsOptions operations = new DescribeTopicsOptions().includeAuthorizedOperations(true);
        for (Map.Entry<String, KafkaFuture<TopicDescription>> e : new TreeMap<>(f.admin.describeTopics(List.of("jd-a", "jd-b", "jd-absent", "j d"), operations).topicNameValues()).entrySet()) {
            f.attempt(e.getKey(), () -> described(e.getValue().get()));
        }
        Uuid id = f.admin.describeTopics(List.of("jd-a")).allTopicNames().get().get("jd-a").topicId();
        f.attempt("by id", () -> described(f.admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id)));
        f.attempt("by an id that is not there", () -> f.admin.describeTopics(TopicCollection.ofTopicIds(List.of(new Uuid(5, 6)))).allTopicIds().get());
        f.attempt("a page at a time", () -> described(f.admin.describeTopics(List.of("jd-a"), new DescribeTopicsOptions().partitionSizeLimitPerResponse(2)).allTopicNames().get().get("jd-a")));
        f.attempt("listed", () -> f.admin.listTopics().names().get().stream().filter(n -> n.startsWith("jd-")).sorted().toList());
        f.attempt("internal ones are listed", () -> f.admin.listTopics(new ListTopicsOptions().listInternal(true)).namesToListings().get().get("__consumer_offsets").isInternal());
        f.attempt("and left out", () -> f.admin.listTopics().names().get().contains("__consumer_offsets"));
    }

    private static String described(TopicDescription d) {
        StringBuilder s = new StringBuilder(d.name() + " internal " + d.isInternal() + " operations " + Facts.shown(d.authorizedOperations() == null ? "null" : d.authorizedOperations()));
        d.partitions().forEach(p -> s.append("; ").append(p.partition()).append(" leader ").append(p.leader().id()).append(" replicas ").append(p.replicas().stream().map(n -> n.id()).toList()).append(" isr ").append(p.isr().stream().map(n -> n.id()).toList())
            .append(" elr ").append(p.elr()).append(" last elr ").append(p.lastKnownElr()));
        return s.toString();
    }

    private static void delete(Facts f) throws Exception {
        f.topic("jx-a", 1);
        f.topic("jx-b", 1);
        Uuid id = f.admin.describeTopics(List.of("jx-b")).allTopicNames().get().get("jx-b").topicId();
        each(f, "deleted", f.admin.deleteTopics(List.of("jx-a", "jx-absent", "j x")).topicNameValues());
        f.attempt("by id", () -> f.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get());
        f.attempt("by an id that is gone", () -> f.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get());
        f.await("left", List.of(), () -> f.admin.listTopics().names().get().stream().filter(n -> n.startsWith("jx-")).sorted().toList());
        f.topic("jx-a", 2);
        f.attempt("made anew", () -> described(f.admin.describeTopics(List.of("jx-a")).allTopicNames().get().get("jx-a")));
    }

    private static void partitions(Facts f) throws Exception {
        for (String t : List.of("ja-a", "ja-b", "ja-c", "ja-d", "ja-e", "ja-f")) {
            f.topic(t, 2);
        }
        Map<String, NewPartitions> more = Map.of("ja-a", NewPartitions.increaseTo(4), "ja-b", NewPartitions.increaseTo(2), "ja-c", NewPartitions.increaseTo(1), "ja-d", NewPartitions.increaseTo(4, List.of(List.of(1), List.of(1))),
            "ja-e", NewPartitions.increaseTo(4, List.of(List.of(1))), "ja-f", NewPartitions.increaseTo(3, List.of(List.of(7))), "ja-absent", NewPartitions.increaseTo(3));
        each(f, "only validated:", f.admin.createPartitions(more, new CreatePartitionsOptions().validateOnly(true)).values());
        each(f, "grown", f.admin.createPartitions(more).values());
        f.known("ja-a", 4);
        f.known("ja-d", 4);
        for (String t : List.of("ja-a", "ja-b", "ja-d")) {
            f.say(described(f.admin.describeTopics(List.of(t)).allTopicNames().get().get(t)));
        }
    }

    private static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    private static void configs(Facts f) throws Exception {
        f.topic("jf-a", 1, "retention.ms", "5000", "compression.type", "lz4");
        DescribeConfigsOptions all = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1"), everyBroker = new ConfigResource(ConfigResource.Type.BROKER, "");
        for (ConfigEntry e : sorted(f.admin.describeConfigs(List.of(topic("jf-a")), all).all().get().get(topic("jf-a")))) {
            if (!e.name().startsWith("ottla.")) {
                f.say(entry(e));
            }
        }
        for (ConfigEntry e : sorted(f.admin.describeConfigs(List.of(broker)).all().get().get(broker))) {
            if (Set.of("message.max.bytes", "num.partitions", "log.retention.hours", "auto.create.topics.enable", "compression.type", "group.max.session.timeout.ms", "min.insync.replicas").contains(e.name())) {
                f.say(entry(e));
            }
        }
        f.attempt("defaults of all brokers", () -> sorted(f.admin.describeConfigs(List.of(everyBroker)).all().get().get(everyBroker)).size());
        f.attempt("of a topic that is not there", () -> f.admin.describeConfigs(List.of(topic("jf-absent"))).all().get());
        f.attempt("of a topic that is none", () -> f.admin.describeConfigs(List.of(topic("j f"))).all().get());
        f.attempt("of a broker that is not there", () -> f.admin.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.BROKER, "7")), new DescribeConfigsOptions().timeoutMs(500)).all().get().getClass().getName());
    }

    private static List<ConfigEntry> sorted(Config c) {
        List<ConfigEntry> entries = new ArrayList<>(c.entries());
        entries.sort((a, b) -> a.name().compareTo(b.name()));
        return entries;
    }

    private static String entry(ConfigEntry e) {
        return e.name() + "=" + e.value() + " from " + e.source() + " type " + e.type() + " sensitive " + e.isSensitive() + " read-only " + e.isReadOnly() + " documented " + (e.documentation() != null) + " " + e.synonyms();
    }

    private static void alter(Facts f) throws Exception {
        f.topic("jl-a", 1, "cleanup.policy", "delete");
        ops(f, "set and append", "jl-a", op("retention.ms", "7000", AlterConfigOp.OpType.SET), op("cleanup.policy", "compact", AlterConfigOp.OpType.APPEND));
        ops(f, "subtract and unset", "jl-a", op("retention.ms", "", AlterConfigOp.OpType.DELETE), op("cleanup.policy", "delete", AlterConfigOp.OpType.SUBTRACT));
        ops(f, "append to what is no list", "jl-a", op("retention.ms", "1", AlterConfigOp.OpType.APPEND));
        ops(f, "no such config", "jl-a", op("no.such", "1", AlterConfigOp.OpType.SET));
        ops(f, "no such value", "jl-a", op("cleanup.policy", "sometimes", AlterConfigOp.OpType.SET));
        ops(f, "null", "jl-a", op("retention.ms", null, AlterConfigOp.OpType.SET));
        ops(f, "one of two is wrong", "jl-a", op("segment.bytes", "2000000", AlterConfigOp.OpType.SET), op("min.insync.replicas", "none", AlterConfigOp.OpType.SET));
        ops(f, "the same twice", "jl-a", op("retention.ms", "1", AlterConfigOp.OpType.SET), op("retention.ms", "2", AlterConfigOp.OpType.SET));
        ops(f, "not there", "jl-absent", op("retention.ms", "1", AlterConfigOp.OpType.SET));
        f.attempt("only validated", () -> f.admin.incrementalAlterConfigs(Map.of(topic("jl-a"), List.of(op("retention.ms", "77", AlterConfigOp.OpType.SET))), new AlterConfigsOptions().validateOnly(true)).all().get());
        Facts.until("compact", () -> f.admin.describeConfigs(List.of(topic("jl-a"))).all().get().get(topic("jl-a")).get("cleanup.policy").value());
        for (ConfigEntry e : sorted(f.admin.describeConfigs(List.of(topic("jl-a"))).all().get().get(topic("jl-a")))) {
            if (e.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) {
                f.say("left: " + e.name() + "=" + e.value());
            }
        }
    }

    private static AlterConfigOp op(String name, String value, AlterConfigOp.OpType type) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    private static void ops(Facts f, String what, String topic, AlterConfigOp... ops) {
        Collection<AlterConfigOp> all = Arrays.asList(ops);
        f.attempt(what, () -> f.admin.incrementalAlterConfigs(Map.of(topic(topic), all)).all().get());
    }

    private static void cluster(Facts f) throws Exception {
        DescribeClusterResult d = f.admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        d.nodes().get().forEach(n -> f.say("node " + n.id() + " rack " + n.rack() + " fenced " + n.isFenced() + " reached as " + n.host() + ":" + n.port()));
        f.say("controller " + d.controller().get().id() + ", id of " + d.clusterId().get().length() + " characters, operations " + Facts.shown(d.authorizedOperations().get()));
        f.attempt("with fenced brokers", () -> f.admin.describeCluster(new DescribeClusterOptions().includeFencedBrokers(true)).nodes().get().size());
    }

    private static void folders(Facts f) throws Exception {
        f.topic("jo-a", 2);
        try (KafkaProducer<String, String> p = f.producer()) {
            p.send(new ProducerRecord<>("jo-a", 0, Producing.JUNE, "k", "v")).get();
        }
        Map<String, LogDirDescription> dirs = f.admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1);
        f.say(dirs.size() + " folders");
        TreeSet<String> replicas = new TreeSet<>();
        for (LogDirDescription d : dirs.values()) {
            f.say("error " + d.error() + ", a size " + d.totalBytes().isPresent() + ", room " + d.usableBytes().isPresent());
            d.replicaInfos().forEach((p, r) -> {
                if (p.topic().equals("jo-a")) {
                    replicas.add(p + " of " + r.size() + " bytes, lag " + r.offsetLag() + ", to come " + r.isFuture());
                }
            });
        }
        f.say(replicas.toString());
        f.attempt("of a broker that is not there", () -> f.admin.describeLogDirs(List.of(7), new org.apache.kafka.clients.admin.DescribeLogDirsOptions().timeoutMs(500)).allDescriptions().get());
        f.attempt("where a replica lies", () -> f.admin.describeReplicaLogDirs(List.of(new org.apache.kafka.common.TopicPartitionReplica("jo-a", 0, 1))).all().get().size());
    }
}
