// Package kraft reads the metadata that an Apache Kafka node in KRaft mode has left in its folder: topics, partitions, configs and producer ids. It is for `ottla import`, and for nothing
// that runs: ottla's own metadata has a format of its own (controller/record).
//
// The folder __cluster_metadata-0 holds a log and snapshots (OFFSET-EPOCH.checkpoint), both made of ordinary batches. Each record's value is one metadata record:
//
//	uvarint  frame version   1
//	uvarint  kind            the record's API key
//	uvarint  version
//	…        fields          Kafka's flexible encoding: compact lengths, tagged fields at the end
//
// Of the kinds that say something about what is imported, the fields up to the last that matters are read; the others (brokers, quotas, ACLs, credentials and so on) are counted.
// Nothing here starts a goroutine or writes. Start reading at Read.
package kraft
