import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.DescribeProducersResult;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupsOptions;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;

/** What Admin does with offsets: a log's, and those that groups have committed. And with the groups themselves. */
final class Offsets {
    static void sections(Map<String, Facts.Section> s) {
        s.put("java: list offsets", Offsets::list);
        s.put("java: delete records", Offsets::trim);
        s.put("java: describe producers", Offsets::producers);
        s.put("java: offsets of groups", Offsets::committed);
        s.put("java: list and describe groups", Offsets::described);
        s.put("java: delete groups", Offsets::deleted);
        s.put("java: remove members", Offsets::removed);
    }

    private static void fill(Facts f, String topic, int count) throws Exception {
        try (KafkaProducer<String, String> p = f.producer()) {
            for (int i = 0; i < count; i++) {
                // Record 3 has the latest time.
                p.send(new ProducerRecord<>(topic, 0, Producing.JUNE + (i == 3 ? 90_000 : i * 10_000), "k" + i, "v")).get();
            }
        }
    }

    private static void list(Facts f) throws Exception {
        f.topic("jh-a", 2);
        fill(f, "jh-a", 8);
        Map<String, OffsetSpec> specs = new LinkedHashMap<>();
        specs.put("earliest", OffsetSpec.earliest());
        specs.put("latest", OffsetSpec.latest());
        specs.put("largest time", OffsetSpec.maxTimestamp());
        specs.put("earliest local", OffsetSpec.earliestLocal());
        specs.put("latest tiered", OffsetSpec.latestTiered());
        specs.put("earliest to upload", OffsetSpec.earliestPendingUpload());
        specs.put("a time long ago", OffsetSpec.forTimestamp(0));
        specs.put("a time between", OffsetSpec.forTimestamp(Producing.JUNE + 25_000));
        specs.put("the latest time", OffsetSpec.forTimestamp(Producing.JUNE + 90_000));
        specs.put("a time to come", OffsetSpec.forTimestamp(Producing.JUNE + 90_001));
        for (Map.Entry<String, OffsetSpec> e : specs.entrySet()) {
            for (int partition : new int[] {0, 1}) {
                f.attempt(e.getKey() + " of partition " + partition, () -> offset(f, new TopicPartition("jh-a", partition), e.getValue(), IsolationLevel.READ_UNCOMMITTED));
            }
        }
        f.attempt("latest committed", () -> offset(f, new TopicPartition("jh-a", 0), OffsetSpec.latest(), IsolationLevel.READ_COMMITTED));
        f.attempt("of a partition that is not there", () -> f.admin.listOffsets(Map.of(new TopicPartition("jh-a", 5), OffsetSpec.latest()), new ListOffsetsOptions().timeoutMs(500)).all().get());
        f.attempt("of a topic that is none", () -> f.admin.listOffsets(Map.of(new TopicPartition("j h", 0), OffsetSpec.latest()), new ListOffsetsOptions().timeoutMs(500)).all().get());
    }

    private static String offset(Facts f, TopicPartition p, OffsetSpec spec, IsolationLevel level) throws Exception {
        ListOffsetsResult.ListOffsetsResultInfo i = f.admin.listOffsets(Map.of(p, spec), new ListOffsetsOptions(level)).all().get().get(p);
        return i.offset() + " at " + (i.timestamp() < 0 ? i.timestamp() : i.timestamp() - Producing.JUNE) + " epoch " + Facts.shown(i.leaderEpoch());
    }

    private static void trim(Facts f) throws Exception {
        f.topic("jk-a", 2);
        f.topic("jk-compacted", 1, "cleanup.policy", "compact");
        fill(f, "jk-a", 8);
        TopicPartition p = new TopicPartition("jk-a", 0);
        for (long before : new long[] {3, 2, 5, 9, -2, -1}) {
            f.attempt("before " + before, () -> f.admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(before))).lowWatermarks().get(p).get().lowWatermark());
            f.attempt("begins at", () -> offset(f, p, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED));
        }
        f.attempt("of an empty partition", () -> f.admin.deleteRecords(Map.of(new TopicPartition("jk-a", 1), RecordsToDelete.beforeOffset(0))).lowWatermarks().get(new TopicPartition("jk-a", 1)).get().lowWatermark());
        f.attempt("of a compacted topic", () -> f.admin.deleteRecords(Map.of(new TopicPartition("jk-compacted", 0), RecordsToDelete.beforeOffset(0))).all().get());
    }

    private static void producers(Facts f) throws Exception {
        f.topic("jn-a", 2);
        fill(f, "jn-a", 4);
        TopicPartition p = new TopicPartition("jn-a", 0), empty = new TopicPartition("jn-a", 1);
        Map<TopicPartition, DescribeProducersResult.PartitionProducerState> all = f.admin.describeProducers(List.of(p, empty)).all().get();
        all.get(p).activeProducers().forEach(a -> f.say("producer with epoch " + a.producerEpoch() + ", last sequence " + a.lastSequence() + " at " + (a.lastTimestamp() - Producing.JUNE) + ", coordinator epoch " + a.coordinatorEpoch() + ", transaction from " + a.currentTransactionStartOffset()));
        f.say("of an empty partition: " + all.get(empty).activeProducers());
    }

    private static void committed(Facts f) throws Exception {
        f.topic("ji-a", 3);
        fill(f, "ji-a", 8);
        TopicPartition p0 = new TopicPartition("ji-a", 0), p1 = new TopicPartition("ji-a", 1), absent = new TopicPartition("ji-a", 7);
        Topics.each(f, "altered", futures(f.admin.alterConsumerGroupOffsets("ji-one", Map.of(p0, new OffsetAndMetadata(3, Optional.of(0), "note"), p1, new OffsetAndMetadata(0))), p0, p1));
        f.attempt("altered where there is none", () -> f.admin.alterConsumerGroupOffsets("ji-one", Map.of(absent, new OffsetAndMetadata(3))).all().get());
        f.attempt("of one", () -> f.admin.listConsumerGroupOffsets("ji-one").partitionsToOffsetAndMetadata().get());
        f.attempt("of one, stable", () -> f.admin.listConsumerGroupOffsets("ji-one", new ListConsumerGroupOffsetsOptions().requireStable(true)).partitionsToOffsetAndMetadata().get());
        f.attempt("of some partitions", () -> f.admin.listConsumerGroupOffsets(Map.of("ji-one", new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(p0, absent)), "ji-absent", new ListConsumerGroupOffsetsSpec())).all().get());
        try (Member m = new Member(f, "ji-a", "group.id", "ji-live", "client.id", "a")) {
            f.await("a member", Set.of("a0", "a1", "a2"), m::state);
            f.attempt("altered under a member", () -> f.admin.alterConsumerGroupOffsets("ji-live", Map.of(p0, new OffsetAndMetadata(3))).all().get());
            f.attempt("deleted under a member", () -> f.admin.deleteConsumerGroupOffsets("ji-live", Set.of(p0)).all().get());
            f.attempt("deleted elsewhere", () -> f.admin.deleteConsumerGroupOffsets("ji-live", Set.of(new TopicPartition("ji-other", 0))).all().get());
        }
        f.attempt("deleted", () -> f.admin.deleteConsumerGroupOffsets("ji-one", Set.of(p0)).all().get());
        f.attempt("deleted where there is none", () -> f.admin.deleteConsumerGroupOffsets("ji-one", Set.of(absent)).all().get());
        f.attempt("deleted of a group that is not there", () -> f.admin.deleteConsumerGroupOffsets("ji-absent", Set.of(p0)).all().get());
        f.attempt("of one, then", () -> f.admin.listConsumerGroupOffsets("ji-one").partitionsToOffsetAndMetadata().get());
        f.admin.deleteTopics(List.of("ji-a")).all().get();
        f.await("when the topic is deleted", Map.of(), () -> f.admin.listConsumerGroupOffsets("ji-one").partitionsToOffsetAndMetadata().get());
    }

    private static Map<TopicPartition, org.apache.kafka.common.KafkaFuture<Void>> futures(org.apache.kafka.clients.admin.AlterConsumerGroupOffsetsResult r, TopicPartition... all) {
        Map<TopicPartition, org.apache.kafka.common.KafkaFuture<Void>> m = new HashMap<>();
        for (TopicPartition p : all) {
            m.put(p, r.partitionResult(p));
        }
        return m;
    }

    private static void described(Facts f) throws Exception {
        f.topic("je-a", 2);
        f.admin.alterConsumerGroupOffsets("je-empty", Map.of(new TopicPartition("je-a", 0), new OffsetAndMetadata(1))).all().get();
        try (Member m = new Member(f, "je-a", "group.id", "je-live", "client.id", "a", "group.instance.id", "i1", "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor")) {
            f.await("a member", Set.of("a0", "a1"), m::state);
            f.attempt("listed", () -> names(f.admin.listGroups().all().get().stream().toList()));
            f.attempt("of consumers", () -> names(f.admin.listGroups(ListGroupsOptions.forConsumerGroups()).all().get().stream().toList()));
            f.attempt("the stable", () -> names(f.admin.listGroups(new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE))).all().get().stream().toList()));
            f.attempt("the empty classic", () -> names(f.admin.listGroups(new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY)).withTypes(Set.of(GroupType.CLASSIC))).all().get().stream().toList()));
            f.attempt("of a protocol", () -> names(f.admin.listGroups(new ListGroupsOptions().withProtocolTypes(Set.of("consumer"))).all().get().stream().toList()));
            f.attempt("by the older call", () -> f.admin.listConsumerGroups(new ListConsumerGroupsOptions()).all().get().stream().filter(g -> g.groupId().startsWith("je-")).map(Object::toString).sorted().toList());
            ConsumerGroupDescription d = f.admin.describeConsumerGroups(List.of("je-live"), new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true)).all().get().get("je-live");
            f.say(group(d));
            d.members().forEach(x -> f.say("member " + x.clientId() + " instance " + x.groupInstanceId() + " host " + x.host() + " assignment " + Member.names(x.assignment().topicPartitions()) + " epoch " + x.memberEpoch() + " upgraded " + x.upgraded() + ", its id begins with the instance's: " + x.consumerId().startsWith("i1-")));
            f.attempt("classic", () -> f.admin.describeClassicGroups(List.of("je-live")).all().get().get("je-live").state());
        }
        f.attempt("empty", () -> group(f.admin.describeConsumerGroups(List.of("je-empty")).all().get().get("je-empty")));
        f.attempt("absent", () -> f.admin.describeConsumerGroups(List.of("je-absent")).all().get());
        f.attempt("absent, classic", () -> f.admin.describeClassicGroups(List.of("je-absent")).all().get());
    }

    private static String group(ConsumerGroupDescription d) {
        return d.groupId() + " simple " + d.isSimpleConsumerGroup() + " assignor '" + d.partitionAssignor() + "' type " + d.type() + " " + d.groupState() + " coordinator " + d.coordinator().id() + " operations " + Facts.shown(d.authorizedOperations() == null ? "null" : d.authorizedOperations())
            + " epoch " + d.groupEpoch() + " of the assignment " + d.targetAssignmentEpoch() + " members " + d.members().size();
    }

    private static TreeSet<String> names(List<GroupListing> all) {
        TreeSet<String> names = new TreeSet<>();
        all.stream().filter(g -> g.groupId().startsWith("je-")).forEach(g -> names.add(g.toString()));
        return names;
    }

    private static void deleted(Facts f) throws Exception {
        f.topic("jz-a", 1);
        TopicPartition p = new TopicPartition("jz-a", 0);
        f.admin.alterConsumerGroupOffsets("jz-empty", Map.of(p, new OffsetAndMetadata(1))).all().get();
        try (Member m = new Member(f, "jz-a", "group.id", "jz-live", "client.id", "a")) {
            f.await("a member", Set.of("a0"), m::state);
            Topics.each(f, "deleted", f.admin.deleteConsumerGroups(List.of("jz-empty", "jz-live", "jz-absent")).deletedGroups());
        }
        Topics.each(f, "then deleted", f.admin.deleteConsumerGroups(List.of("jz-live", "jz-empty")).deletedGroups());
        f.attempt("left", () -> f.admin.listGroups().all().get().stream().filter(g -> g.groupId().startsWith("jz-")).toList());
        f.attempt("offsets of a deleted group", () -> f.admin.listConsumerGroupOffsets("jz-empty").partitionsToOffsetAndMetadata().get());
    }

    private static void removed(Facts f) throws Exception {
        f.topic("jw-a", 2);
        try (Member a = new Member(f, "jw-a", "group.id", "jw", "client.id", "a", "group.instance.id", "one", "session.timeout.ms", "45000")) {
            f.await("a member", Set.of("a0", "a1"), a::state);
            RemoveMembersFromConsumerGroupOptions some = new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("other")));
            f.attempt("one that is not there", () -> f.admin.removeMembersFromConsumerGroup("jw", some).all().get());
            a.close();
            f.say(Groups.described(f, "jw"));
            RemoveMembersFromConsumerGroupOptions it = new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("one")));
            it.reason("tidying");
            f.attempt("the static one", () -> f.admin.removeMembersFromConsumerGroup("jw", it).all().get());
            f.say(Groups.described(f, "jw"));
        }
        try (Member b = new Member(f, "jw-a", "group.id", "jw", "client.id", "b")) {
            f.await("another member", Set.of("a0", "a1"), b::state);
            f.attempt("all", () -> f.admin.removeMembersFromConsumerGroup("jw", new RemoveMembersFromConsumerGroupOptions()).all().get());
        }
        f.attempt("all of none", () -> f.admin.removeMembersFromConsumerGroup("jw", new RemoveMembersFromConsumerGroupOptions()).all().get());
        f.attempt("of a group that is not there", () -> f.admin.removeMembersFromConsumerGroup("jw-absent", new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("one")))).all().get());
    }
}
