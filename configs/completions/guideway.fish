# Completion of guideway, guidewayd and guideway-engine for fish; what there is to complete is words.sh's answer.

set -g __guideway_words (dirname (status filename))/words.sh  # in our sources
test -e $__guideway_words; or set -g __guideway_words (dirname (status filename))/../../guideway/words.sh  # installed

function __guideway_complete
    set -l current (commandline -ct)
    for line in (sh $__guideway_words (commandline -opc) "$current" 2>/dev/null)
        switch $line
            case :directory
                __fish_complete_directories (commandline -ct)
            case :file
                __fish_complete_path (commandline -ct)
            case '*'
                echo $line
        end
    end
end

for program in guideway guidewayd guideway-engine
    complete -c $program -f -a '(__guideway_complete)'
end
