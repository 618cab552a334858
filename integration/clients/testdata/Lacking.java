import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.quota.ClientQuotaFilter;

/**
 * Calls that a node may not serve yet. Each is a section of its own, so that differences.txt has one line for it, which must go when the call is there.
 */
final class Lacking {
    static void sections(Map<String, Facts.Section> s) {
        s.put("java: transactions", Lacking::transactions);
        s.put("java: list transactions", f -> f.attempt("listed", () -> f.admin.listTransactions().all().get()));
        s.put("java: describe a transaction", f -> f.attempt("absent", () -> f.admin.describeTransactions(List.of("jq-absent")).all().get()));
        s.put("java: abort a transaction", f -> {
            f.topic("jq-abort", 1);
            f.attempt("none to abort", () -> f.admin.abortTransaction(new AbortTransactionSpec(new TopicPartition("jq-abort", 0), 1, (short) 0, 0)).all().get());
        });
        s.put("java: a group of the newer protocol", Lacking::newer);
        s.put("java: describe a group without a name", f -> f.attempt("nameless", () -> f.admin.describeConsumerGroups(List.of("")).all().get()));
        s.put("java: describe ACLs", f -> f.attempt("any", () -> f.admin.describeAcls(AclBindingFilter.ANY).values().get()));
        s.put("java: describe quotas", f -> f.attempt("all", () -> f.admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get()));
        s.put("java: describe credentials", f -> f.attempt("all", () -> f.admin.describeUserScramCredentials().all().get()));
        s.put("java: make credentials", f -> f.attempt("made", () -> f.admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("jq", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret"))).all().get()));
        s.put("java: describe tokens", f -> f.attempt("all", () -> f.admin.describeDelegationToken().delegationTokens().get()));
        s.put("java: list reassignments", f -> f.attempt("all", () -> f.admin.listPartitionReassignments().reassignments().get()));
        s.put("java: reassign", f -> {
            f.topic("jq-moved", 1);
            f.attempt("to where it is", () -> f.admin.alterPartitionReassignments(Map.of(new TopicPartition("jq-moved", 0), Optional.of(new NewPartitionReassignment(List.of(1))))).all().get());
        });
        s.put("java: elect leaders", f -> {
            f.topic("jq-elected", 1);
            f.attempt("preferred", () -> f.admin.electLeaders(ElectionType.PREFERRED, Set.of(new TopicPartition("jq-elected", 0))).partitions().get());
        });
        s.put("java: describe features", f -> f.attempt("finalized", () -> f.admin.describeFeatures().featureMetadata().get().finalizedFeatures().keySet()));
        s.put("java: describe the quorum", f -> f.attempt("voters", () -> f.admin.describeMetadataQuorum().quorumInfo().get().voters().size()));
        s.put("java: list config resources", f -> f.attempt("of brokers", () -> f.admin.listConfigResources(Set.of(org.apache.kafka.common.config.ConfigResource.Type.BROKER), new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all().get().size()));
        s.put("java: move a replica to another folder", f -> {
            f.topic("jq-folder", 1);
            f.attempt("to nowhere", () -> f.admin.alterReplicaLogDirs(Map.of(new org.apache.kafka.common.TopicPartitionReplica("jq-folder", 0, 1), "/nowhere")).all().get());
        });
    }

    private static void transactions(Facts f) throws Exception {
        f.topic("jq-tx", 1);
        try (KafkaProducer<String, String> p = f.producer("transactional.id", "jq", "max.block.ms", "20000")) {
            p.initTransactions();
            p.beginTransaction();
            p.send(new ProducerRecord<>("jq-tx", 0, Producing.JUNE, "k", "v"));
            p.commitTransaction();
            f.say("committed");
        }
    }

    private static void newer(Facts f) throws Exception {
        f.topic("jq-newer", 1);
        try (KafkaConsumer<String, String> c = f.consumer("group.id", "jq-newer", "group.protocol", "consumer")) {
            c.subscribe(List.of("jq-newer"));
            long end = System.currentTimeMillis() + Facts.PATIENCE_MS;
            while (c.assignment().isEmpty() && System.currentTimeMillis() < end) {
                c.poll(Duration.ofMillis(100));
            }
            f.say("assigned " + c.assignment());
        }
    }
}
