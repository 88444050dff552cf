// Package ui stands in for Alertmanager's web interface, whose built files are not part of its Go module
// (https://github.com/prometheus/alertmanager/blob/v0.34.2/ui/web.go embeds them). API and amtool are the real ones.
package ui

import (
	"io"
	"net/http"

	"github.com/prometheus/common/route"
)

const page = "This Alertmanager was built from its Go module, which does not contain the web interface.\n" +
	"Alerts are listed at api/v2/alerts, silences are made with `amtool --alertmanager.url=URL silence add`.\n"

// Register answers the front page with where else to look.
func Register(router *route.Router) {
	router.Get("/", func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(writer, page)
	})
}
