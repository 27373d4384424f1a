"""Tests of one package each, without servers."""
