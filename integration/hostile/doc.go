// Package hostile attacks a whole node, as clients that mean harm would, while a good client has to be served. Tests are named for the cases of the catalogue of faults.
//
// Start reading at node_test.go: the node, the good client and the connection of an attacker.
package hostile
