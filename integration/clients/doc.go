// Package clients runs other people's tools and clients against a node and against Apache Kafka, and compares what they say.
//
// The suite fetches Apache Kafka from Maven Central (a JDK 17, Maven and kcat must be installed) and is built only with the tag "clients": make clients.
// script_test.go, script_groups_test.go and script_kcat_test.go hold the invocations of tools; testdata/Facts.java is a program over Kafka's own producer, consumer and
// Admin, whose sections count as one invocation each; testdata/differences.txt holds every difference that is allowed, each with its reason. Start reading at suite_test.go.
package clients
