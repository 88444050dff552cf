//go:build tools

// Package tools keeps the module graph of Loki complete; no program contains it.
package tools

import _ "github.com/grafana/loki/v3/cmd/loki"
