import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.consumer.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Classic groups of several members: they come, rebalance, leave, and die. Client ids order the members, so that it is known who gets what. */
final class Groups {
    private static final String RANGE = "org.apache.kafka.clients.consumer.RangeAssignor", ROUND = "org.apache.kafka.clients.consumer.RoundRobinAssignor";
    private static final String STICKY = "org.apache.kafka.clients.consumer.StickyAssignor", COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";

    static void sections(Map<String, Facts.Section> s) {
        s.put("java: three members, one dies, range", f -> death(f, "range", RANGE));
        s.put("java: three members, one dies, cooperative-sticky", f -> death(f, "cooperative", COOPERATIVE));
        s.put("java: three members, one dies, sticky", f -> death(f, "sticky", STICKY));
        s.put("java: static members", Groups::fixed);
        s.put("java: a static member for good", Groups::fenced);
        s.put("java: members by pattern", Groups::pattern);
        s.put("java: members that do not fit", Groups::misfits);
        s.put("java: a member that polls too late", Groups::late);
        s.put("java: ways to leave", Groups::leaving);
        s.put("java: from eager to cooperative", Groups::upgrade);
    }

    private static String[] settings(String group, String client, String assignor, String... more) {
        List<String> all = new ArrayList<>(List.of("group.id", group, "client.id", client, "partition.assignment.strategy", assignor, "session.timeout.ms", "6000", "heartbeat.interval.ms", "300", "metadata.max.age.ms", "1000"));
        all.addAll(List.of(more));
        return all.toArray(new String[0]);
    }

    /**
     * Three members, of which one is killed. Who gets which partition is known for the range assignor; the sticky ones go by the order of a hash table of member ids, and
     * only how many each has, and that none moves between those who stay, is the same from run to run.
     */
    private static void death(Facts f, String name, String assignor) throws Exception {
        String group = "jg-" + name, topic = group + "-p";
        Shares shares = assignor.equals(RANGE) ? Shares.OWNED : Shares.COUNTED;
        f.topic(topic, 7);
        fill(f, topic, 7, 0, 5);
        Process victim = null;
        try (Member a = new Member(f, topic, settings(group, "a", assignor))) {
            f.await("a alone", Set.of("p0", "p1", "p2", "p3", "p4", "p5", "p6"), a::state);
            try (Member b = new Member(f, topic, settings(group, "b", assignor))) {
                f.await("a and b share", 7, () -> shared(a, b));
                f.await("they have read all of the first records", 35, () -> read(a, b));
                f.say("shares " + shares.of(a, b));
                Set<?> ofA = (Set<?>) a.state(), ofB = (Set<?>) b.state();
                victim = child(f, topic, settings(group, "c", assignor));
                int given = given(victim);
                f.say("c is given " + given);
                f.await("the group", "Stable with [a, b, c]", () -> described(f, group));
                f.await("what is left to a and b", 7 - given, () -> shared(a, b));
                f.say("shares " + shares.of(a, b) + (shares == Shares.COUNTED ? ", moved " + moved(a, ofB) + moved(b, ofA) : ""));
                ofA = (Set<?>) a.state();
                ofB = (Set<?>) b.state();
                fill(f, topic, 7, 5, 3);
                victim.destroyForcibly().waitFor();
                f.await("after c's death", 7, () -> shared(a, b));
                f.say("shares " + shares.of(a, b) + (shares == Shares.COUNTED ? ", moved " + moved(a, ofB) + moved(b, ofA) : ""));
                f.await("a and b have read everything", 56, () -> read(a, b));
                f.say("the group is " + described(f, group));
                if (shares == Shares.OWNED) {
                    f.say("happened to a: " + a.events + ", to b: " + b.events);
                }
                f.say("generations are one: " + (a.generation() == b.generation()) + ", " + a.generation());
                b.close();
                f.await("a when b has left", Set.of("p0", "p1", "p2", "p3", "p4", "p5", "p6"), a::state);
            }
        } finally {
            if (victim != null) {
                victim.destroyForcibly();
            }
        }
        f.await("when all have left", "Empty with []", () -> described(f, group));
    }

    /** How members' shares are told: by name, or how many there are. */
    private enum Shares {
        OWNED, COUNTED;

        String of(Member a, Member b) {
            if (this == OWNED) {
                return Facts.shown(a.state()) + " and " + Facts.shown(b.state());
            }
            int x = ((Set<?>) a.state()).size(), y = ((Set<?>) b.state()).size();
            return Math.max(x, y) + " and " + Math.min(x, y);
        }
    }

    /** What m owns that was another's before. */
    private static String moved(Member m, Set<?> others) {
        return Facts.shown(((Set<?>) m.state()).stream().filter(others::contains).toList());
    }

    /** How many partitions a member in a process of its own says that it owns, once it owns some. */
    private static int given(Process member) throws Exception {
        BufferedReader said = new BufferedReader(new InputStreamReader(member.getInputStream()));
        String line = said.readLine();
        while (line != null && line.equals("owns []")) {
            line = said.readLine();
        }
        return line == null ? 0 : line.split(",").length;
    }

    private static void fixed(Facts f) throws Exception {
        String group = "jg-static", topic = group + "-s";
        f.topic(topic, 4);
        Member b = null, again = null, late = null;
        try (Member a = new Member(f, topic, settings(group, "a", RANGE, "group.instance.id", "one"))) {
            f.await("a alone", Set.of("s0", "s1", "s2", "s3"), a::state);
            b = new Member(f, topic, settings(group, "b", RANGE, "group.instance.id", "two"));
            f.await("b", Set.of("s2", "s3"), b::state);
            f.await("a", Set.of("s0", "s1"), a::state);
            int generation = a.generation();
            b.close();
            f.say("the group when b has closed is " + described(f, group));
            again = new Member(f, topic, settings(group, "b2", RANGE, "group.instance.id", "two"));
            f.await("b again, inside its session", Set.of("s2", "s3"), again::state);
            f.say("a's generation has stayed: " + (generation == a.generation()) + ", happened to a: " + a.events);
            again.close();
            f.await("a when b's session is over", Set.of("s0", "s1", "s2", "s3"), a::state);
            late = new Member(f, topic, settings(group, "b3", RANGE, "group.instance.id", "two"));
            f.await("b again, outside its session", Set.of("s2", "s3"), late::state);
            f.await("a", Set.of("s0", "s1"), a::state);
            f.say("the group is " + described(f, group) + ", happened to a: " + a.events);
            late.close(GroupMembershipOperation.LEAVE_GROUP);
            f.await("a when b has left for good", Set.of("s0", "s1", "s2", "s3"), a::state);
        }
        f.say("the group when a has closed is " + described(f, group));
    }

    private static void fenced(Facts f) throws Exception {
        String group = "jg-fenced", topic = group + "-f";
        f.topic(topic, 2);
        try (Member a = new Member(f, topic, settings(group, "a", RANGE, "group.instance.id", "one"))) {
            f.await("a alone", Set.of("f0", "f1"), a::state);
            try (Member twin = new Member(f, topic, settings(group, "twin", RANGE, "group.instance.id", "one"))) {
                f.await("its twin", Set.of("f0", "f1"), twin::state);
                f.await("a is fenced", "FencedInstanceIdException", () -> a.state().toString().split(":")[0]);
                f.say("the group is " + described(f, group));
            }
        }
    }

    private static void pattern(Facts f) throws Exception {
        String group = "jg-pattern";
        f.topic("jg-pattern-a", 2);
        try (Member a = new Member(f, Pattern.compile("jg-pattern-.*"), settings(group, "a", COOPERATIVE)); Member b = new Member(f, Pattern.compile("jg-pattern-.*"), settings(group, "b", COOPERATIVE))) {
            f.await("with a topic", "[a0, a1]", () -> together(a, b));
            f.topic("jg-pattern-b", 2);
            f.await("with two topics", "[a0, a1, b0, b1]", () -> together(a, b));
            f.admin.createPartitions(Map.of("jg-pattern-a", org.apache.kafka.clients.admin.NewPartitions.increaseTo(4))).all().get();
            f.await("with more partitions", "[a0, a1, a2, a3, b0, b1]", () -> together(a, b));
            f.admin.deleteTopics(List.of("jg-pattern-b")).all().get();
            f.await("with a topic less", "[a0, a1, a2, a3]", () -> together(a, b));
            f.await("shared", 4, () -> shared(a, b));
        }
    }

    private static void misfits(Facts f) throws Exception {
        String group = "jg-misfits", topic = group + "-m";
        f.topic(topic, 2);
        try (Member a = new Member(f, topic, settings(group, "a", RANGE))) {
            f.await("a", Set.of("m0", "m1"), a::state);
            for (String[] how : new String[][] {settings(group, "b", ROUND), settings(group, "b", RANGE, "session.timeout.ms", "1000"), settings(group, "b", RANGE, "session.timeout.ms", "40000000", "request.timeout.ms", "50000000", "default.api.timeout.ms", "60000000")}) {
                try (Member b = new Member(f, topic, how)) {
                    f.await("b is refused", false, () -> b.state() instanceof Set<?>);
                    f.say("with " + List.of(how).subList(4, 6) + List.of(how).subList(10, how.length) + " it ends with " + b.state());
                }
            }
            f.say("a still owns " + Facts.shown(a.state()));
        }
    }

    private static void late(Facts f) throws Exception {
        String group = "jg-late", topic = group + "-l";
        f.topic(topic, 1);
        fill(f, topic, 1, 0, 3);
        try (KafkaConsumer<String, String> c = f.consumer(settings(group, "a", RANGE, "max.poll.interval.ms", "1500"))) {
            c.subscribe(List.of(topic));
            f.say("read " + Consuming.take(c, 3));
            f.await("the group when it polls no more", "Empty with []", () -> described(f, group));
            f.attempt("then commits", () -> { c.commitSync(); return "done"; });
            f.say("joins again, reads " + Consuming.take(c, 3));
            f.attempt("then commits", () -> { c.commitSync(); return c.committed(Set.of(new TopicPartition(topic, 0))); });
            c.enforceRebalance("on demand");
            int generation = c.groupMetadata().generationId();
            long end = System.currentTimeMillis() + Facts.PATIENCE_MS;
            while (c.groupMetadata().generationId() == generation && System.currentTimeMillis() < end) {
                c.poll(Duration.ofMillis(50));
            }
            f.say("rebalanced on demand: " + (c.groupMetadata().generationId() > generation) + ", a static member: " + c.groupMetadata().groupInstanceId().isPresent());
            c.unsubscribe();
            f.await("the group when it has unsubscribed", "Empty with []", () -> described(f, group));
            f.attempt("commits without being a member", () -> { c.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(2))); return c.committed(Set.of(new TopicPartition(topic, 0))); });
        }
    }

    private static void leaving(Facts f) throws Exception {
        String group = "jg-leaving", topic = group + "-w";
        f.topic(topic, 2);
        try (Member a = new Member(f, topic, settings(group, "a", RANGE))) {
            f.await("a", Set.of("w0", "w1"), a::state);
            a.close(GroupMembershipOperation.REMAIN_IN_GROUP);
            f.say("when a has closed without a word: " + described(f, group));
            f.await("when its session is over", "Empty with []", () -> described(f, group));
        }
        try (Member a = new Member(f, topic, settings(group, "a", RANGE, "group.instance.id", "one"))) {
            f.await("a, static", Set.of("w0", "w1"), a::state);
            a.close(GroupMembershipOperation.LEAVE_GROUP);
            f.await("when a has left for good", "Empty with []", () -> described(f, group));
        }
    }

    private static void upgrade(Facts f) throws Exception {
        String group = "jg-upgrade", topic = group + "-u";
        f.topic(topic, 4);
        try (Member a = new Member(f, topic, settings(group, "a", RANGE))) {
            f.await("a, eager", Set.of("u0", "u1", "u2", "u3"), a::state);
            try (Member b = new Member(f, topic, settings(group, "b", COOPERATIVE + "," + RANGE))) {
                f.await("b, of both kinds", Set.of("u2", "u3"), b::state);
                f.await("a", Set.of("u0", "u1"), a::state);
                f.say("the assignor is " + f.admin.describeConsumerGroups(List.of(group)).all().get().get(group).partitionAssignor());
                a.close();
                f.await("b when a has left", Set.of("u0", "u1", "u2", "u3"), b::state);
                f.say("the assignor is " + f.admin.describeConsumerGroups(List.of(group)).all().get().get(group).partitionAssignor());
            }
        }
    }

    /** How many partitions the members own, if each of them owns some and none is owned twice; else 0. */
    private static int shared(Member... members) {
        List<Object> all = new ArrayList<>();
        for (Member m : members) {
            if (!(m.state() instanceof Set<?> owned) || owned.isEmpty()) {
                return 0;
            }
            all.addAll(owned);
        }
        return Set.copyOf(all).size() == all.size() ? all.size() : 0;
    }

    /** What the members own together. */
    private static String together(Member... members) {
        TreeSet<String> all = new TreeSet<>();
        for (Member m : members) {
            if (m.state() instanceof Set<?> owned) {
                owned.forEach(p -> all.add(p.toString()));
            }
        }
        return all.toString();
    }

    /** How many records they have read, each counted once. */
    private static int read(Member... members) {
        TreeSet<String> all = new TreeSet<>();
        for (Member m : members) {
            all.addAll(m.records);
        }
        return all.size();
    }

    /** A group's state and its members' client ids, or instance ids where they have one. */
    static String described(Facts f, String group) throws Exception {
        ConsumerGroupDescription d = f.admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        TreeSet<String> members = new TreeSet<>();
        d.members().forEach(m -> members.add(m.groupInstanceId().orElse(m.clientId())));
        return d.groupState() + " with " + members;
    }

    /** Writes count records from "from" on into every partition. */
    private static void fill(Facts f, String topic, int partitions, int from, int count) {
        try (KafkaProducer<String, String> p = f.producer()) {
            for (int i = 0; i < partitions * count; i++) {
                p.send(new ProducerRecord<>(topic, i % partitions, "k", "v" + (from + i / partitions)));
            }
        }
    }

    /** A member that is a process of its own. */
    private static Process child(Facts f, String topic, String... settings) throws Exception {
        List<String> command = new ArrayList<>(List.of("java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile"), "-cp", System.getProperty("java.class.path"), "Member", f.broker, topic));
        command.addAll(List.of(settings));
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }
}
