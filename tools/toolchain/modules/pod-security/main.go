// Command pod-security-judge answers whether the API server's Pod Security admission would admit pods.
//
// It reads one {"level", "version", "metadata", "spec"} a line from standard input, the latter two those of a pod or of
// a pod template, and writes one {"allowed", "reasons"} a line. A field that pods do not have ends it with an error.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type question struct {
	Level    string            `json:"level"`
	Version  string            `json:"version"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     corev1.PodSpec    `json:"spec"`
}

type verdict struct {
	Allowed bool     `json:"allowed"`
	Reasons []string `json:"reasons"`
}

func main() {
	if err := judge(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(from io.Reader, to io.Writer) error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	reader, writer := bufio.NewReader(from), bufio.NewWriter(to)
	answers := json.NewEncoder(writer)
	for {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return writer.Flush()
		}
		if err != nil && err != io.EOF {
			return err
		}
		answer, err := answer(evaluator, line)
		if err != nil {
			return fmt.Errorf("%w in %s", err, line)
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

func answer(evaluator policy.Evaluator, line []byte) (verdict, error) {
	var asked question
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		return verdict{}, err
	}
	level, err := api.ParseLevel(asked.Level)
	if err != nil {
		return verdict{}, err
	}
	version, err := api.ParseVersion(asked.Version)
	if err != nil {
		return verdict{}, err
	}
	setDefaults(&asked.Spec)
	wanted := api.LevelVersion{Level: level, Version: version}
	found := verdict{Allowed: true, Reasons: []string{}}
	for _, result := range evaluator.EvaluatePod(wanted, &asked.Metadata, &asked.Spec) {
		if !result.Allowed {
			found.Allowed = false
			found.Reasons = append(found.Reasons, result.ForbiddenReason+": "+result.ForbiddenDetail)
		}
	}
	return found, nil
}

// setDefaults does what the API server does before admission, where a check depends on it (SetDefaults_Volume).
func setDefaults(spec *corev1.PodSpec) {
	for i := range spec.Volumes {
		if spec.Volumes[i].VolumeSource == (corev1.VolumeSource{}) {
			spec.Volumes[i].EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	}
}
