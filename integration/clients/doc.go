// Package clients runs other people's tools against a node and against Apache Kafka, and compares what they say.
//
// The suite fetches Apache Kafka from Maven Central (Java 17, Maven and kcat must be installed) and is built only with the tag "clients": make clients.
// script_test.go and script_groups_test.go hold the invocations, testdata/differences.txt every difference that is allowed, each with its reason. Start reading at suite_test.go.
package clients
