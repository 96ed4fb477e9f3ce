// Goroutines, timers, signals, children by os/exec and a Unix socket; each round needs all of them.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func serve(connection net.Conn) {
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		fmt.Fprintln(connection, strings.ToUpper(lines.Text()))
	}
}

func main() {
	listener, err := net.Listen("unix", "socket")
	check(err)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
	client, err := net.Dial("unix", "socket")
	check(err)
	answers := bufio.NewReader(client)
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGUSR1)
	ended := make(chan bool)
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		close(ended)
	}()
	for round := 1; ; round++ {
		fmt.Fprintln(client, "question", round)
		answer, err := answers.ReadString('\n')
		check(err)
		if answer != fmt.Sprintf("QUESTION %d\n", round) {
			panic(answer)
		}
		var all sync.WaitGroup
		sums := make([]int, 20)
		for i := range sums {
			all.Add(1)
			go func(i int) {
				defer all.Done()
				time.Sleep(time.Duration(i) * time.Millisecond)
				for n := 0; n < 10000*i; n++ {
					sums[i] += n
				}
			}(i)
		}
		all.Wait()
		for i, sum := range sums {
			if n := 10000 * i; sum != n*(n-1)/2 {
				panic("wrong sum")
			}
		}
		out, err := exec.Command("sh", "-c", fmt.Sprintf("sleep 0.05; kill -USR1 %d; echo out", os.Getpid())).Output()
		check(err)
		if string(out) != "out\n" {
			panic(string(out))
		}
		select {
		case <-signals:
		case <-time.After(20 * time.Second):
			panic("no signal")
		}
		fmt.Println("round", round)
		select {
		case <-ended:
			listener.Close()
			fmt.Println("end:", round, "rounds")
			return
		default:
		}
	}
}
