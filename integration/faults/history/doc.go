// Package history holds what clients of a faulty node were told, and the judges that say whether it can be true. It knows no client and no node: a history is filled in by
// whoever runs them. All judges are near-linear in the number of operations and reads.
//
// Start reading at history.go; each judge has a file of its own.
package history
