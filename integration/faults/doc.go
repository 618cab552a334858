// Package faults is the suite of what one node must survive: real processes of the built binary, killed, cut from power, starved of room, with failing, slow and stalled
// disks, and with damaged files. Clients load the node meanwhile; what they were told becomes a history, and the judges of package history say whether it can be true.
//
// `make faults` runs all cases, `make faults CASE=C05` some (a comma-separated list); RUNS repeats, SEED chooses, FAULTS_REPORT names a JSON file for the outcome.
// Everything needs the build tag faults; most cases need root for loop devices and mounts. A case whose means are missing is skipped and says so: that is not a pass.
//
// Start reading at suite_test.go, the table of cases; rig_test.go is what they have in their hands.
package faults
