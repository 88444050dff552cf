// Command cert-manager runs cert-manager's own controllers, webhook, CA injector and start-up check as one program.
// Their commands are modules of their own that no Go module proxy has; the library has all that they start. The module
// lies below cert-manager's path because the webhook is an internal package there.
// Only what a certificate authority inside the cluster needs is linked: ACME would bring the SDKs of five clouds.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
)

// A command declares its flags, and gives back what runs once they are read and checked.
type command func(flags *pflag.FlagSet) (run, error)

type run func(ctx context.Context) error

var commands = map[string]command{
	"controller":      controllerCommand,
	"webhook":         webhookCommand,
	"cainjector":      injectorCommand,
	"startupapicheck": checkCommand,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := execute(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func execute(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 || commands[arguments[0]] == nil {
		return fmt.Errorf("usage: cert-manager controller|webhook|cainjector|startupapicheck [FLAG …], got %q", arguments)
	}
	logf.InitLogs()
	defer logf.FlushLogs()
	ctrl.SetLogger(klog.Background())
	flags := pflag.NewFlagSet(arguments[0], pflag.ContinueOnError)
	start, err := commands[arguments[0]](flags)
	if err != nil {
		return err
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	return start(logf.NewContext(ctx, logf.Log, arguments[0]))
}

// logging declares the chart's `--v` and applies it.
func logging(flags *pflag.FlagSet, start run) run {
	options := logsapi.NewLoggingConfiguration()
	logf.AddFlagsNonDeprecated(options, flags)
	return func(ctx context.Context) error {
		if err := logf.ValidateAndApply(options); err != nil {
			return err
		}
		return start(ctx)
	}
}
