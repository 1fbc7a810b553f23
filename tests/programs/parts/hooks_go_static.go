// A Go program without C: static, nothing can be loaded into it.
package main

import "fmt"

//go:noinline
func submit(function func()) { function() }

func main() { submit(func() { fmt.Println("ran") }) }
