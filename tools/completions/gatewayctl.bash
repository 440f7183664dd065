# bash completion for gatewayctl. The program itself knows what may come next: see `gatewayctl __complete`.

_gatewayctl()
{
    local line words cword quote= cur=${COMP_WORDS[COMP_CWORD]}
    # Words are broken at "=" and ":" too; names with a colon in them, and --for=10m, are put together again.
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n "=:" -w words -i cword
        cur=${words[cword]}
        words=("${words[@]:1:cword}")
    fi
    # They come as they were typed; no name has a quote or a backslash in it.
    [[ $cur != [\"\']* ]] || quote=${cur:0:1}
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o default 2>/dev/null # readline's own, who knows about spaces and tildes
        elif [[ $quote ]]; then
            COMPREPLY+=("${line%%$'\t'*}")
        else
            COMPREPLY+=("$(printf %q "${line%%$'\t'*}")")
        fi
    done < <("${COMP_WORDS[0]}" __complete "${words[@]//[\"\'\\]/}" 2>/dev/null)
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "${cur#"$quote"}"
    fi
}

complete -F _gatewayctl gatewayctl
