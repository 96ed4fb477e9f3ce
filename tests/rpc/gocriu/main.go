// A client of the RPC made of Debian's go-criu: gocriu CRIU PID IMAGES
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	criu "github.com/checkpoint-restore/go-criu"
	"github.com/checkpoint-restore/go-criu/rpc"
	"google.golang.org/protobuf/proto"
)

type notify struct {
	criu.NoNotify
}

func (notify) PreDump() error            { fmt.Println("pre-dump"); return nil }
func (notify) PostDump() error           { fmt.Println("post-dump"); return nil }
func (notify) PreRestore() error         { fmt.Println("pre-restore"); return nil }
func (notify) PostRestore(p int32) error { fmt.Println("post-restore", p); return nil }
func (notify) PostResume() error         { fmt.Println("post-resume"); return nil }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	c := criu.MakeCriu()
	c.SetCriuPath(os.Args[1])
	pid, err := strconv.Atoi(os.Args[2])
	must(err)

	version, err := c.GetCriuVersion()
	must(err)
	enough, err := c.IsCriuAtLeast(40200)
	must(err)
	fmt.Println(version, enough)
	yes := proto.Bool(true)
	features, err := c.FeatureCheck(&rpc.CriuFeatures{MemTrack: yes, LazyPages: yes, PidfdStore: yes})
	must(err)
	fmt.Println(features.MemTrack != nil, features.LazyPages != nil, features.PidfdStore != nil)

	dir, err := os.Open(os.Args[3])
	must(err)
	opts := func() *rpc.CriuOpts {
		return &rpc.CriuOpts{ImagesDirFd: proto.Int32(int32(dir.Fd())), LogLevel: proto.Int32(4)}
	}
	dump := opts()
	dump.Pid = proto.Int32(int32(pid))
	dump.LogFile = proto.String("dump.log")
	must(c.Prepare())
	must(c.Dump(dump, notify{}))
	c.Cleanup()
	for {
		if _, err := os.Stat("/proc/" + os.Args[2]); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	restore := opts()
	restore.LogFile = proto.String("restore.log")
	must(c.Restore(restore, notify{}))

	wrong := opts()
	wrong.LogFile = proto.String("a/b")
	fmt.Println(c.Dump(wrong, nil))
}
