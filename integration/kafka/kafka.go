// Package kafka fetches Apache Kafka from Maven Central, starts a node of it and runs its command-line tools: what ottla is compared with.
// Java 17 and Maven must be installed, for Compile the whole JDK. The jars stay in the user's cache folder.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"ottla/integration/process"
)

// Version is the one that answers count against.
const Version = "4.3.1"

// pom names what Maven fetches: the broker, its tools, and a logger that keeps quiet.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>peer</groupId><artifactId>peer</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + Version + `</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + Version + `</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.4</version></dependency>
</dependencies></project>
`

const log4j = `appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
appender.out.target=SYSTEM_ERR
rootLogger.level=ERROR
rootLogger.appenderRef.out.ref=out
`

// Libs is the folder with the jars.
type Libs string

// Fetch gets the jars unless they are there.
func Fetch(ctx context.Context) (Libs, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	libs := filepath.Join(cache, "ottla-clients", "kafka-"+Version)
	done := filepath.Join(libs, ".done")
	if _, err := os.Stat(done); err == nil {
		return Libs(libs), nil
	}
	work, err := os.MkdirTemp("", "ottla-maven")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	for _, f := range []struct{ name, text string }{{filepath.Join(work, "pom.xml"), pom}, {filepath.Join(libs, "log4j2.properties"), log4j}} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(f.name), 0o755), os.WriteFile(f.name, []byte(f.text), 0o644)); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory="+libs)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch Apache Kafka: %w\n%s", err, out)
	}
	return Libs(libs), os.WriteFile(done, nil, 0o644)
}

// Tool is a command that runs one of Kafka's classes, started quickly: little heap ("256m"), one collector, no second compiler.
func (l Libs) Tool(ctx context.Context, heap, class string, args ...string) *exec.Cmd {
	return java(ctx, l.jars(), l.quick(heap), class, args)
}

func (l Libs) jars() string { return filepath.Join(string(l), "*") }

func (l Libs) logging() string {
	return "-Dlog4j2.configurationFile=" + filepath.Join(string(l), "log4j2.properties")
}

func (l Libs) quick(heap string) []string {
	return []string{"-Xmx" + heap, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", l.logging()}
}

// Compile makes classes of Java sources that use the jars, in the folder classes. It needs a JDK.
func (l Libs) Compile(ctx context.Context, classes string, sources ...string) error {
	args := append([]string{"-nowarn", "-cp", l.jars(), "-d", classes}, sources...)
	if out, err := exec.CommandContext(ctx, "javac", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("compile: %w\n%s", err, out)
	}
	return nil
}

// Program is Tool for a class that Compile has put into the folder classes.
func (l Libs) Program(ctx context.Context, classes, class string, args ...string) *exec.Cmd {
	return java(ctx, l.jars()+":"+classes, l.quick("256m"), class, args)
}

// server is a command that runs a broker as its own start script does: both compilers, G1.
func (l Libs) server(ctx context.Context, properties string) *exec.Cmd {
	options := []string{"-Xms256m", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", l.logging()}
	return java(ctx, l.jars(), options, "kafka.Kafka", []string{properties})
}

func java(ctx context.Context, classpath string, options []string, class string, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, "java", slices.Concat(options, []string{"-cp", classpath, class}, args)...)
}

// Broker is a node that is broker and controller.
type Broker struct {
	*process.Process
	Address string // HOST:PORT of the listener
	Data    string // its log directory
}

// Start formats a data folder below dir, which exists, and starts a node over it. The node lives until it is stopped or killed, not only until ctx ends.
func (l Libs) Start(ctx context.Context, dir string) (*Broker, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	controller, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	b := &Broker{Address: address, Data: filepath.Join(dir, "data")}
	properties := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(properties, []byte(b.properties(controller)), 0o644); err != nil {
		return nil, err
	}
	if out, err := l.Tool(ctx, "256m", "kafka.tools.StorageTool", "format", "--standalone", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", properties).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format: %w\n%s", err, out)
	}
	b.Process, err = process.Start(ctx, l.server(context.WithoutCancel(ctx), properties), address)
	return b, err
}

func (b *Broker) properties(controller string) string {
	return fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=%[2]s
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
log.dirs=%[3]s
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=60000
`, b.Address, controller, b.Data)
}
