"""The subcommands of `sovits-core`: a module each with HELP, add_arguments and run, which alone imports torch."""
