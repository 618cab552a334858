package config

import (
	"strings"
	"testing"
)

func TestValidateInKafkasWords(t *testing.T) {
	cases := []struct{ name, value, want string }{
		{"retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
		{"retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"},
		{"retention.ms", " 5 ", ""},
		{"retention.ms", "", "Invalid value  for configuration retention.ms: Not a number of type LONG"},
		{"segment.bytes", "99999999999", "Invalid value 99999999999 for configuration segment.bytes: Not a number of type INT"},
		{"segment.bytes", "1", "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576"},
		{"segment.bytes", "+2000000", ""},
		{"segment.bytes", "1e9", "Invalid value 1e9 for configuration segment.bytes: Not a number of type INT"},
		{"cleanup.policy", "foo", "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"},
		{"cleanup.policy", "", ""},
		{"cleanup.policy", "delete,delete", ""},
		{"cleanup.policy", " delete , compact ", ""},
		{"cleanup.policy", "delete,foo", "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"},
		{"cleanup.policy", "delete,", "Configuration 'cleanup.policy' values must not be empty."},
		{"compression.type", "bad", "Invalid value bad for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{"compression.gzip.level", "0", "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{"compression.gzip.level", "-1", ""},
		{"compression.lz4.level", "18", "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17"},
		{"min.cleanable.dirty.ratio", "1.5", "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"min.cleanable.dirty.ratio", "-1", "Invalid value -1.0 for configuration min.cleanable.dirty.ratio: Value must be at least 0"},
		{"min.cleanable.dirty.ratio", "x", "Invalid value x for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"},
		{"min.cleanable.dirty.ratio", "NaN", "Invalid value NaN for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"},
		{"min.cleanable.dirty.ratio", "1e-1", ""},
		{"preallocate", "yes", "Invalid value yes for configuration preallocate: Expected value to be either true or false"},
		{"preallocate", "TRUE", ""},
		{"leader.replication.throttled.replicas", "x", "Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{"leader.replication.throttled.replicas", "*", ""},
		{"leader.replication.throttled.replicas", "0:1, 1:2", ""},
		{"min.insync.replicas", "1.0", "Invalid value 1.0 for configuration min.insync.replicas: Not a number of type INT"},
		{"ottla.durability", "none", "Invalid value none for configuration ottla.durability: String must be one of: durable, memory"},
		{"process.roles", "", "Configuration 'process.roles' must not be empty. Valid values include: [broker, controller]"},
		{"process.roles", "x", "Invalid value x for configuration process.roles: String must be one of: broker, controller"},
		{"listeners", "", "Configuration 'listeners' must not be empty. Valid values include: any non-empty value"},
		{"log.dirs", "/a,/a", "Configuration 'log.dirs' values must not be duplicated."},
		{"offsets.topic.replication.factor", "99999", "Invalid value 99999 for configuration offsets.topic.replication.factor: Not a number of type SHORT"},
		{"controller.quorum.voters", "1@x", "Failed to parse host name from entry 1@x for the configuration controller.quorum.voters. Each entry should be in the form `{id}@{host}:{port}`."},
		{"controller.quorum.voters", "x", "Invalid configuration value for controller.quorum.voters. Each entry should be in the form `{id}@{host}:{port}`."},
		{"controller.quorum.voters", "a@h:1", "Failed to parse voter ID as an integer from a"},
		{"controller.quorum.voters", "1@h:1,2@[::1]:2", ""},
		{"controller.quorum.bootstrap.servers", "x", `Failed to parse host name from x for the configuration controller.quorum.bootstrap.servers. Each entry should be in the form "{host}:{port}"`},
		{"group.consumer.migration.policy", "x", "Invalid value x for configuration group.consumer.migration.policy: String must be one of (case insensitive): DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL"},
		{"group.consumer.migration.policy", "Upgrade", ""},
		{"remote.log.metadata.manager.class.name", "", "Invalid value  for configuration remote.log.metadata.manager.class.name: String must be non-empty"},
		{"sasl.jaas.config", "anything", ""},
	}
	for _, c := range cases {
		err := definition(c.name).Validate(c.value)
		if got := text(err); got != c.want {
			t.Errorf("%s=%q\n have %s\n want %s", c.name, c.value, got, c.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestDefaultsAreValid(t *testing.T) {
	for _, scope := range []Scope{Topic, Broker} {
		for _, d := range All(scope) {
			if d.HasDefault {
				if err := d.Validate(d.Default); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestTableIsSound(t *testing.T) {
	for _, scope := range []Scope{Topic, Broker} {
		for _, d := range All(scope) {
			if d.Doc == "" || d.Scope != scope || Lookup(scope, d.Name) != d || d.Sensitive != (d.Type == Password) {
				t.Errorf("%s: %+v", d.Name, d)
			}
			for _, s := range d.Synonyms {
				if b := Lookup(Broker, s.Name); b == nil || s.Scale < 1 {
					t.Errorf("%s: synonym %+v", d.Name, s)
				}
			}
		}
	}
	if Lookup(Topic, "foo") != nil || Lookup(Group, "retention.ms") != nil {
		t.Error("an unknown name was found")
	}
}

func TestValidateTopic(t *testing.T) {
	cases := []struct {
		overrides map[string]string
		want      string
	}{
		{nil, ""},
		{map[string]string{"retention.ms": "5", "segment.ms": "6"}, ""},
		{map[string]string{"foo": "1", "retention.ms": "x"}, "Unknown topic config name: foo"},
		{map[string]string{"log.retention.ms": "1"}, "Unknown topic config name: log.retention.ms"},
		{map[string]string{"retention.ms": "x"}, "Invalid value x for configuration retention.ms: Not a number of type LONG"},
		{map[string]string{"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"}, "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"},
	}
	for _, c := range cases {
		if got := text(ValidateTopic(c.overrides)); got != c.want {
			t.Errorf("%v: %q, want %q", c.overrides, got, c.want)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	const secret = "s3cret"
	got := Redact(map[string]string{
		"ssl.key.password": secret, "listener.name.internal.ssl.keystore.password": secret, "ssl.key.pasword": secret, "listener.name.x": secret,
		"listener.name.internal.max.connections": "5", "num.partitions": "3",
	})
	for name, value := range got {
		want := Hidden
		if n := strings.TrimPrefix(name, "listener.name.internal."); n == "max.connections" || n == "num.partitions" {
			want = map[string]string{"max.connections": "5", "num.partitions": "3"}[n]
		}
		if value != want {
			t.Errorf("%s prints as %q, want %q", name, value, want)
		}
	}
	if p := Lookup(Broker, "ssl.key.password").Print(secret); p != Hidden {
		t.Errorf("prints as %q", p)
	}
}

func FuzzValidate(f *testing.F) {
	for _, d := range append(All(Topic), All(Broker)...) {
		f.Add(d.Name, d.Default)
	}
	f.Add("leader.replication.throttled.replicas", "0:1,1:")
	f.Add("controller.quorum.voters", "1@[::1:9")
	f.Fuzz(func(t *testing.T, name, value string) {
		d := Lookup(Topic, name)
		if d == nil {
			d = Lookup(Broker, name)
		}
		if d == nil || d.Validate(value) != nil {
			return
		}
		// What is valid can be read.
		v := Values{Static: map[string]string{name: value}, Override: map[string]string{name: value}}
		switch d.Type {
		case Short, Int, Long:
			v.Int(name)
		case List:
			v.List(name)
		}
	})
}
