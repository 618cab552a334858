// Package decide holds the decisions of the metadata quorum: a request against an image gives records and a reply.
//
// It sits between image (what is) and the driver (who proposes the records and answers once they are applied). It is pure: what it needs of time, chance and
// configuration comes with the call, so the same call gives the same bytes. Nothing here is durable: a decision counts when its records are committed.
//
// Who may ask is not its business: handlers authorise before, and keep what must not be told out of the replies. Decisions and the words of their errors are
// those of Apache Kafka's controller (4.3).
//
// Start reading at decide.go; then one file for each request.
package decide
