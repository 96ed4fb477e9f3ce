// A server for go.ts to test: net/http with counters in memory.
package main

import (
	"fmt"
	"net/http"
	"os"
	"sync"
)

func main() {
	var mutex sync.Mutex
	counts := map[string]int{}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		counts[r.URL.RawQuery]++
		count := counts[r.URL.RawQuery]
		mutex.Unlock()
		fmt.Fprintf(w, "%s %d\n", r.URL.RawQuery, count)
	})
	http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)
}
