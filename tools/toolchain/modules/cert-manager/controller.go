package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/cert-manager/cert-manager/pkg/controller"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	"github.com/cert-manager/cert-manager/pkg/healthz"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

const (
	metricsAddress = "0.0.0.0:9402"
	healthAddress  = "0.0.0.0:9403"
	workers        = 5
	// The times of Kubernetes' own controllers.
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

func controllerCommand(flags *pflag.FlagSet) (run, error) {
	options := controller.ContextOptions{
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes:                 []string{"*", "-kubectl.kubernetes.io/"},
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	}
	var leases string
	flags.StringVar(&leases, "leader-election-namespace", "kube-system", "namespace of the lease")
	flags.StringVar(&options.ClusterResourceNamespace, "cluster-resource-namespace", "kube-system", "namespace of a cluster issuer's Secrets")
	flags.StringVar(&options.HTTP01SolverImage, "acme-http01-solver-image", "", "not used: no ACME here")
	flags.IntVar(&options.MaxConcurrentChallenges, "max-concurrent-challenges", 0, "not used: no ACME here")
	return logging(flags, func(ctx context.Context) error { return runController(ctx, options, leases) }), nil
}

func runController(ctx context.Context, options controller.ContextOptions, leases string) error {
	factory, err := controller.NewContextFactory(ctx, options)
	if err != nil {
		return err
	}
	root, err := factory.Build()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	health := healthz.NewServer(leaseDuration)
	if err := serve(ctx, group, root, health); err != nil {
		return err
	}
	group.Go(func() error {
		return lead(ctx, root, health, leases, func(ctx context.Context) error { return control(ctx, factory, root) })
	})
	return group.Wait()
}

// serve opens the health and metrics ports.
func serve(ctx context.Context, group *errgroup.Group, root *controller.Context, health *healthz.Server) error {
	listen := func(address string) (net.Listener, error) { return (&net.ListenConfig{}).Listen(ctx, "tcp", address) }
	healthListener, err := listen(healthAddress)
	if err != nil {
		return err
	}
	metricsListener, err := listen(metricsAddress)
	if err != nil {
		return err
	}
	group.Go(func() error { return health.Start(ctx, healthListener) })
	metrics := root.Metrics.NewServer(metricsListener)
	context.AfterFunc(ctx, func() { _ = metrics.Close() })
	go func() { _ = metrics.Serve(metricsListener) }()
	return nil
}

// lead runs `work` while this process holds the lease, so that two never write at once; losing it is an error.
func lead(ctx context.Context, root *controller.Context, health *healthz.Server, namespace string, work run) error {
	identity, err := os.Hostname()
	if err != nil {
		return err
	}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, "cert-manager-controller",
		resourcelock.ResourceLockConfig{Identity: identity, EventRecorder: root.Recorder}, root.RESTConfig, renewDeadline)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		ReleaseOnCancel: true, WatchDog: health.LeaderHealthzAdaptor, Name: "cert-manager-controller",
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { failed <- work(ctx) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return err
	}
	leading, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() { elector.Run(leading); close(ended) }()
	select {
	case err = <-failed:
	case <-ended:
		err = fmt.Errorf("the lease was lost")
	}
	stop()
	<-ended
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// control runs every controller that this program links; they register themselves.
func control(ctx context.Context, factory *controller.ContextFactory, root *controller.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for name, constructor := range controller.Known() {
		each, err := constructor(factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		group.Go(func() error { return each.Run(workers, ctx) })
	}
	root.SharedInformerFactory.Start(ctx.Done())
	root.KubeSharedInformerFactory.Start(ctx.Done())
	root.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return group.Wait()
}
