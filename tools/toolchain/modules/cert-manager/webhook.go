package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/pflag"
	admission "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/cert-manager/cert-manager/internal/webhook"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/util"
	"github.com/cert-manager/cert-manager/pkg/util/cmapichecker"
	"github.com/cert-manager/cert-manager/pkg/webhook/options"
)

func webhookCommand(flags *pflag.FlagSet) (run, error) {
	configuration, err := options.NewWebhookConfiguration()
	if err != nil {
		return nil, err
	}
	options.AddConfigFlags(flags, configuration)
	return func(ctx context.Context) error {
		if err := logf.ValidateAndApply(&configuration.Logging); err != nil {
			return err
		}
		server, err := webhook.NewCertManagerWebhookServer(logf.FromContext(ctx), *configuration)
		if err != nil {
			return err
		}
		return server.Run(ctx)
	}, nil
}

// injectorCommand writes the webhook's CA into its own registration; CRDs and APIServices have none to be written.
func injectorCommand(flags *pflag.FlagSet) (run, error) {
	var leases, metrics string
	flags.StringVar(&leases, "leader-election-namespace", "kube-system", "namespace of the lease")
	flags.StringVar(&metrics, "metrics-listen-address", metricsAddress, "where metrics are served; 0: nowhere")
	return logging(flags, func(ctx context.Context) error {
		scheme := runtime.NewScheme()
		for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, admission.AddToScheme, cmapi.AddToScheme} {
			if err := add(scheme); err != nil {
				return err
			}
		}
		config, err := ctrl.GetConfig()
		if err != nil {
			return err
		}
		// Its name is also that of the fields' manager, which the API server asks for.
		manager, err := ctrl.NewManager(util.RestConfigWithUserAgent(config, "cainjector"), ctrl.Options{
			Scheme: scheme, Logger: logf.FromContext(ctx), Metrics: metricsserver.Options{BindAddress: metrics},
			LeaderElection: true, LeaderElectionID: "cert-manager-cainjector-leader-election",
			LeaderElectionNamespace: leases, LeaderElectionReleaseOnCancel: true,
			// Secrets are watched as metadata only: their data never fills a cache.
			Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&core.Secret{}}}},
		})
		if err != nil {
			return err
		}
		enabled := map[string]bool{cainjector.ValidatingWebhookConfigurationName: true, cainjector.MutatingWebhookConfigurationName: true}
		if err := cainjector.RegisterAllInjectors(ctx, manager, cainjector.SetupOptions{EnabledReconcilersFor: enabled}); err != nil {
			return err
		}
		return manager.Start(ctx)
	}), nil
}

// checkCommand ends as soon as the webhook admits what it should: `startupapicheck check api --wait=1m`.
func checkCommand(flags *pflag.FlagSet) (run, error) {
	patience := flags.Duration("wait", time.Minute, "how long to ask")
	flags.BoolP("verbose", "v", false, "say each refusal; always on")
	return func(ctx context.Context) error {
		config, err := ctrl.GetConfig()
		if err != nil {
			return err
		}
		checker, err := cmapichecker.New(config, os.Getenv("POD_NAMESPACE"))
		if err != nil {
			return err
		}
		return wait.PollUntilContextTimeout(ctx, time.Second, *patience, true, func(ctx context.Context) (bool, error) {
			err := checker.Check(ctx)
			if err != nil {
				logf.Log.Info("not ready", "reason", err.Error())
			}
			return err == nil, nil
		})
	}, nil
}
