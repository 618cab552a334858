// Package placement chooses the brokers of new partitions.
//
// It sits beside decide, which calls it; it is pure: the same brokers and the same random source give the same answer. Start reading at Place.
package placement
