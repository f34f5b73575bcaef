# Arithmetic, loops, tests and string expansion of the shell; no other process.
i=0 sum=0 text=
while [ "$i" -lt "$1" ]; do
    i=$((i + 1))
    sum=$(((sum * 31 + i) % 1000003))
    case $sum in
    *7*) text=${text#?????}x$sum ;;
    *) text=$text. ;;
    esac
    text=${text%"${text#????????????????}"}
done
echo "$sum $text"
