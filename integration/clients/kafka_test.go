//go:build clients

package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const kafkaVersion = "4.3.1"

// pom names what Maven fetches: the broker, its tools, and a logger that keeps quiet.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>peer</groupId><artifactId>peer</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + kafkaVersion + `</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + kafkaVersion + `</version></dependency>
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

// kafkaLibs fetches Apache Kafka once into the user's cache folder and returns the folder of its jars.
func kafkaLibs(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	libs := filepath.Join(cache, "ottla-clients", "kafka-"+kafkaVersion)
	if _, err := os.Stat(filepath.Join(libs, ".done")); err == nil {
		return libs
	}
	work := t.TempDir()
	for _, f := range []struct{ name, text string }{{filepath.Join(work, "pom.xml"), pom}, {filepath.Join(libs, "log4j2.properties"), log4j}} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(f.name), 0o755), os.WriteFile(f.name, []byte(f.text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory="+libs)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("fetch Apache Kafka: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(libs, ".done"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return libs
}

// java is a command that runs one of Kafka's classes.
func java(ctx context.Context, libs string, heap string, class string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "java", append([]string{"-Xmx" + heap, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=" + filepath.Join(libs, "log4j2.properties"),
		"-cp", filepath.Join(libs, "*"), class}, args...)...)
}

// broker is a running server of either kind.
type broker struct {
	name    string
	address string
	data    string
	stop    func()
}

// startKafka formats and starts one node of Apache Kafka.
func startKafka(t *testing.T, libs string) *broker {
	t.Helper()
	dir := t.TempDir()
	port, controller := freePort(t), freePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	properties := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%d
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d
advertised.listeners=PLAINTEXT://%s
log.dirs=%s/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=60000
`, controller, address, controller, address, dir)
	if err := os.WriteFile(properties, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := java(t.Context(), libs, "256m", "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", properties).CombinedOutput(); err != nil {
		t.Fatalf("format: %v\n%s", err, out)
	}
	return startProcess(t, "kafka", address, filepath.Join(dir, "data"), java(context.Background(), libs, "768m", "kafka.Kafka", properties))
}

// startOttla starts the binary that `make build` left in bin.
func startOttla(t *testing.T, args ...string) *broker {
	t.Helper()
	binary, err := filepath.Abs("../../bin/ottla")
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	return startProcess(t, "ottla", address, data, exec.Command(binary, append([]string{"serve", "--data", data, "--listen", address, "--http", "127.0.0.1:0"}, args...)...))
}

func startProcess(t *testing.T, name, address, data string, cmd *exec.Cmd) *broker {
	t.Helper()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b := &broker{name: name, address: address, data: data}
	stopped := false
	b.stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("stop %s: %v", name, err)
		}
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Errorf("%s does not stop", name)
			_ = cmd.Process.Kill() // it is on its way out of this test either way
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, log.String())
		}
	}
	t.Cleanup(b.stop)
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = c.Close() // only asked whether it answers
			return b
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", name, err, log.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer on %s\n%s", name, address, log.String())
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// run executes one invocation and returns what it printed and its exit code.
func run(cmd *exec.Cmd, stdin string) string {
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		fmt.Fprintf(&out, "exit %d\n", exit.ExitCode())
	} else if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintf(&out, "error %v\n", err)
	}
	return out.String()
}
