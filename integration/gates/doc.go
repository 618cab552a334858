// Package gates holds what a request may cost: allocations and bytes of the heap, bytes written to disk, syncs and other system calls. The figures stand in testdata/figures.txt; a
// test fails when one rises above them by more than the tolerance of its kind (kinds_test.go). Nothing is timed: the figures are the same on a slow machine.
//
// `make gates` runs it (build tag gates; strace for the system calls); `make gates GATES=-rewrite` writes the figures as they are now. Requests are raw frames over one
// connection, a burst of them in one write, and the next burst when all are answered: so a pass of the broker finds the same work every time.
//
// Start reading at requests_test.go, the table of what is measured.
package gates
