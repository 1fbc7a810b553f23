// Go's goroutine labels in the model of peer.h: the labels of the submitter's context are put on
// the worker's goroutine and taken off again.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"sort"
	"strconv"
	"time"
)

const tasks, repeats = 256, 400

var ran int

//go:noinline
func task() { ran++ }

func timed(batch func()) float64 {
	ns := make([]float64, repeats)
	for i := range ns {
		begin := time.Now()
		batch()
		ns[i] = float64(time.Since(begin).Nanoseconds()) / tasks
	}
	sort.Float64s(ns)
	return ns[repeats/2]
}

func main() {
	for _, word := range os.Args[1:] {
		k, _ := strconv.Atoi(word)
		labels := []string{}
		for i := 0; i < k; i++ {
			labels = append(labels, "key"+strconv.Itoa(i), "value")
		}
		worker := context.Background()
		submitter := pprof.WithLabels(worker, pprof.Labels(labels...))
		kept := make([]context.Context, tasks)
		carried := timed(func() {
			for i := range kept {
				kept[i] = submitter
			}
			for i := range kept {
				pprof.SetGoroutineLabels(kept[i])
				task()
				pprof.SetGoroutineLabels(worker)
			}
		})
		bare := timed(func() {
			for i := 0; i < tasks; i++ {
				task()
			}
		})
		fmt.Printf("peer=go-labels k=%d ns=%.2f\n", k, carried-bare)
	}
}
