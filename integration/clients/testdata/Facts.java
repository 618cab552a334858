import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * What Kafka's own Java clients see of a broker, told in sections of facts. A fact is a line, the same from run to run and from broker to broker: ids, ports and
 * times are left out, and whatever has no order is sorted. Sections have topics and groups of their own, so that they may run side by side.
 */
public final class Facts {
    /** One section: what it does and says. */
    interface Section {
        void tell(Facts f) throws Exception;
    }

    /** How long anything may take that has to happen, in milliseconds. */
    static final long PATIENCE_MS = 45_000;

    final String broker;
    final Admin admin;
    private final List<String> lines = new ArrayList<>();

    Facts(String broker, Admin admin) {
        this.broker = broker;
        this.admin = admin;
    }

    /** Usage: Facts HOST:PORT. Sections are printed in their order, each under a line "=== NAME". */
    public static void main(String[] args) throws Exception {
        Map<String, Section> sections = new java.util.LinkedHashMap<>();
        Groups.sections(sections); // these wait the longest: first
        Producing.sections(sections);
        Consuming.sections(sections);
        Topics.sections(sections);
        Offsets.sections(sections);
        Lacking.sections(sections);
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0], "default.api.timeout.ms", "30000", "request.timeout.ms", "20000"))) {
            Map<String, Future<List<String>>> told = new java.util.LinkedHashMap<>();
            sections.forEach((name, section) -> told.put(name, threads.submit(() -> new Facts(args[0], admin).lines(name, section))));
            for (Map.Entry<String, Future<List<String>>> t : told.entrySet()) {
                System.out.println("=== " + t.getKey());
                t.getValue().get().forEach(System.out::println);
            }
        }
        threads.shutdown();
    }

    private List<String> lines(String name, Section section) {
        long began = System.currentTimeMillis();
        try {
            section.tell(this);
        } catch (Throwable e) {
            say("ENDS EARLY: " + told(e));
        }
        System.err.println(name + " took " + (System.currentTimeMillis() - began) + " ms");
        synchronized (lines) {
            return new ArrayList<>(lines);
        }
    }

    /** Adds one fact. */
    void say(String fact) {
        synchronized (lines) {
            lines.add(fact.replace("\n", " | "));
        }
    }

    /** Says what came of an attempt: its value or its error. */
    void attempt(String what, Callable<?> c) {
        try {
            say(what + ": " + shown(c.call()));
        } catch (Exception e) {
            say(what + ": " + told(e));
        }
    }

    /** Waits until c gives want, and says what it gave. */
    void await(String what, Object want, Callable<?> c) throws Exception {
        say(what + ": " + until(want, c));
    }

    /** Waits until c gives want: what it gave last. */
    static String until(Object want, Callable<?> c) throws Exception {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        String last = "";
        do {
            try {
                last = shown(c.call());
            } catch (ExecutionException e) {
                last = told(e);
            }
            if (last.equals(shown(want))) {
                break;
            }
            Thread.sleep(50);
        } while (System.currentTimeMillis() < end);
        return last;
    }

    /** An error's class and message, whatever wraps it. */
    static String told(Throwable e) {
        while ((e instanceof ExecutionException || e instanceof CompletionException) && e.getCause() != null) {
            e = e.getCause();
        }
        String cause = e.getCause() == null ? "" : ", because of " + told(e.getCause());
        if (e instanceof TimeoutException) {
            return "TimeoutException"; // its words depend on where the time was up
        }
        return e.getClass().getSimpleName() + ": " + String.valueOf(e.getMessage()).replaceAll("\\b\\d{13}\\b", "TIME") + cause;
    }

    /** A value in an order of its own. */
    static String shown(Object o) {
        if (o instanceof Map<?, ?> m) {
            TreeMap<String, String> sorted = new TreeMap<>();
            m.forEach((k, v) -> sorted.put(shown(k), shown(v)));
            return sorted.toString();
        }
        if (o instanceof java.util.Set<?> s) {
            TreeSet<String> sorted = new TreeSet<>();
            s.forEach(x -> sorted.add(shown(x)));
            return sorted.toString();
        }
        if (o instanceof Collection<?> c) {
            return c.stream().map(Facts::shown).toList().toString();
        }
        if (o instanceof Optional<?> v) {
            return v.map(Facts::shown).orElse("none");
        }
        return String.valueOf(o);
    }

    /** A topic of so many partitions that everybody knows of; settings are pairs of a config's name and value. Old records stay: many are of a time of their own. */
    void topic(String name, int partitions, String... settings) throws Exception {
        Map<String, String> configs = new HashMap<>(Map.of("retention.ms", "-1"));
        for (int i = 0; i < settings.length; i += 2) {
            configs.put(settings[i], settings[i + 1]);
        }
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs))).all().get(PATIENCE_MS, TimeUnit.MILLISECONDS);
        known(name, partitions);
    }

    /** Waits until the broker describes the topic with so many partitions: Apache Kafka's knows a moment later what its controller has made. */
    void known(String topic, int partitions) throws Exception {
        until(partitions, () -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
    }

    Properties properties(String... settings) {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        for (int i = 0; i < settings.length; i += 2) {
            p.put(settings[i], settings[i + 1]);
        }
        return p;
    }

    KafkaProducer<String, String> producer(String... settings) {
        return new KafkaProducer<>(properties(settings), new StringSerializer(), new StringSerializer());
    }

    KafkaConsumer<String, String> consumer(String... settings) {
        Properties p = properties("auto.offset.reset", "earliest", "enable.auto.commit", "false", "allow.auto.create.topics", "false");
        p.putAll(properties(settings));
        return new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
    }
}
