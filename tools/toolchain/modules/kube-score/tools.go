//go:build tools

// Package tools pins the programs that are built from this module graph.
package tools

import _ "github.com/zegl/kube-score/cmd/kube-score"
