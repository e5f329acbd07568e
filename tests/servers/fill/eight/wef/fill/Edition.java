package wef.fill;

import java.util.Collection;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.AbstractIndexAnalyzerProvider;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.AbstractTokenizerFactory;
import org.elasticsearch.ingest.AbstractProcessor;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.ingest.Processor;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;

/** The shapes that Elasticsearch 8 gives to what a plugin extends; the other edition beside has the same names. */
final class Edition {
    private Edition() {}

    /** The plugin itself, and what it answers over HTTP. */
    abstract static class Root extends Plugin implements ActionPlugin {
        protected abstract Collection<RestHandler> handlers();

        @Override
        public Collection<RestHandler> getRestHandlers(
            Settings settings,
            NamedWriteableRegistry writeables,
            RestController controller,
            ClusterSettings clusterSettings,
            IndexScopedSettings indexSettings,
            SettingsFilter filter,
            IndexNameExpressionResolver names,
            Supplier<DiscoveryNodes> nodes,
            Predicate<NodeFeature> features
        ) {
            return handlers();
        }
    }

    /** One analyzer under a name. */
    static final class Provider extends AbstractIndexAnalyzerProvider<Analyzer> {
        private final Analyzer analyzer;

        Provider(String name, Settings settings, Analyzer analyzer) {
            super(name, settings);
            this.analyzer = analyzer;
        }

        @Override
        public Analyzer get() {
            return analyzer;
        }
    }

    /** One step between words. */
    static final class Filter extends AbstractTokenFilterFactory {
        private final UnaryOperator<TokenStream> step;

        Filter(String name, Settings settings, UnaryOperator<TokenStream> step) {
            super(name, settings);
            this.step = step;
        }

        @Override
        public TokenStream create(TokenStream words) {
            return step.apply(words);
        }
    }

    /** What makes words of a text. */
    static final class Splitter extends AbstractTokenizerFactory {
        private final Supplier<Tokenizer> splitting;

        Splitter(IndexSettings index, String name, Settings settings, Supplier<Tokenizer> splitting) {
            super(index, settings, name);
            this.splitting = splitting;
        }

        @Override
        public Tokenizer create() {
            return splitting.get();
        }
    }

    /** A kind of processor: *maker* reads the tag and the options of one and answers what it does to a document. */
    record Step(String kind, BiFunction<String, Map<String, Object>, UnaryOperator<IngestDocument>> maker) implements Processor.Factory {
        @Override
        public Processor create(Map<String, Processor.Factory> factories, String tag, String description, Map<String, Object> options) {
            UnaryOperator<IngestDocument> deed = maker.apply(tag, options);
            return new AbstractProcessor(tag, description) {
                @Override
                public IngestDocument execute(IngestDocument document) {
                    return deed.apply(document);
                }

                @Override
                public String getType() {
                    return kind;
                }
            };
        }
    }
}
