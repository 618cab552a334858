// Package sim is the seeded simulator: nodes made of the production machines and the real log on vfs.Mem, a network, disks and clocks that fail, and a judge that knows what may never
// happen. All of it runs on one goroutine and depends on one number, the seed: the same seed is the same run, byte for byte, and a run that finds something can be repeated and watched.
//
//	go test ./integration/sim                                   a few seeds
//	make sim N=20000 SEED=1                                     many, on all cores
//	make sim SEED=4711                                          one, told event by event
//	go test ./integration/sim -seeds 1000 -twice                each seed twice: the traces have to be equal
//
// DESIGN.md tells how it is made. Start reading at simulation.go, then node.go, controller.go, broker.go and judge.go.
package sim
