# churn.awk: counts, joins and forgets the fields of its input in associative arrays.
NR > limit { exit }
{
    count[$2]++
    text[$3] = text[$3] " " $1
    if (length(text[$3]) > 400) {
        n = split(text[$3], parts, " ")
        for (i = 1; i <= n; i += 2)
            seen[substr(parts[i], 1, 4)] += length(parts[i])
        delete text[$3]
    }
    line = toupper($0)
    gsub(/[0-9]+/, "#", line)
    shapes[line]++
}
END {
    for (key in count) total += count[key] * length(key)
    for (key in seen) sum += seen[key]
    print NR, length(count), total, sum, length(shapes), length(text)
}
